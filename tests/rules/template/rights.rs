//! What functions may do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::*;

#[test]
fn no_policy_has_a_star() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for function in template.functions() {
        if list(&function.properties["Policies"])
            .iter()
            .any(|policy| policy["Statement"].is_null())
        {
            wrong.push(format!(
                "{}: write its policies as statements, not as names of others'",
                function.name
            ));
        }
        for statement in function
            .statements()
            .iter()
            .filter(|statement| !sends_texts(statement))
        {
            let parts = [list(&statement["Action"]), list(&statement["Resource"])].concat();
            if parts.is_empty() || parts.iter().any(|part| text(part).contains('*')) {
                wrong.push(format!(
                    "{}: name each action and resource in {statement}",
                    function.name
                ));
            }
        }
    }
    for policy in template.resources("AWS::SQS::QueuePolicy") {
        if policy.properties.to_string().contains('*') {
            wrong.push(format!("{}: name who may do what", policy.id));
        }
    }
    nothing_wrong(&wrong);
}

/// Sending a text to a phone: IAM knows no resource for a phone number, so that only all of them can be named.
fn sends_texts(statement: &Value) -> bool {
    statement["Action"] == "sns:Publish" && statement["Resource"] == "*"
}

/// What a function may use, as (what, of which): from its variables, which tell it where things are, and from its
/// policies, which let it in.
type Uses = BTreeSet<(&'static str, String)>;

#[test]
fn a_function_may_use_exactly_what_its_variables_name() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        let (named, allowed) = (
            named_by_variables(&function),
            allowed_by_policies(&function, &mut wrong),
        );
        for (what, which) in named.difference(&allowed) {
            wrong.push(format!(
                "{}: it is told of {what} {which}: allow it in Policies",
                function.name
            ));
        }
        for (what, which) in allowed.difference(&named) {
            wrong.push(format!(
                "{}: {what} {which} is allowed but no variable names it: take it out",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

/// The same user, at the further nodes of the wallets.
const AT_NODES: &str = "database user at the wallets' nodes";

fn named_by_variables(function: &Function) -> Uses {
    let variables = function.variables();
    let user_at_nodes = variables
        .get("DATABASE_USER")
        .filter(|_| variables.contains_key("WALLET_NODES"))
        .map(|user| (AT_NODES, user.clone()));
    let name = |(variable, value): (String, String)| match variable.as_str() {
        "DATABASE_USER" => Some(("database user", value)),
        queue if queue.starts_with("QUEUE_") && queue.ends_with("_URL") => {
            queue_of(&json!(value)).map(|queue| ("queue", queue))
        }
        table if table.starts_with("TABLE_") => Some(("table", value)),
        secret if secret.ends_with("_SECRET_ARN") => Some(("secret", value)),
        "GRAPHQL_URL" => value
            .strip_suffix(".GraphQLUrl")
            .map(|api| ("API", api.to_owned())),
        _ => None,
    };
    variables
        .into_iter()
        .filter_map(name)
        .chain(user_at_nodes)
        .collect()
}

fn allowed_by_policies(function: &Function, wrong: &mut Vec<String>) -> Uses {
    let mut uses = Uses::new();
    for statement in function.statements() {
        for (action, resource) in pairs(&statement).into_iter().filter(|_| !sends_texts(&statement)) {
            let which = |marker: &str| resource.split_once(marker).map(|(_, which)| which.to_owned());
            let used = match action.as_str() {
                "sqs:SendMessage" => queue_of(&json!(resource)).map(|queue| ("queue", queue)),
                "secretsmanager:GetSecretValue" => Some(("secret", resource.clone())),
                "rds-db:connect" => which(":dbuser:local-DatabaseProxyResourceId/")
                    .map(|user| ("database user", user))
                    .or_else(|| which(":dbuser:none/").map(|user| (AT_NODES, user))),
                // Only what is for functions.
                "appsync:GraphQL" => resource
                    .split_once("/types/Mutation/fields/publish_")
                    .and_then(|(api, _)| api.rsplit(':').next())
                    .map(|api| ("API", api.to_owned())),
                table if table.starts_with("dynamodb:") => which(":table/").map(|table| ("table", table)),
                // The key of a secret, and only to read it: nothing that a variable names.
                "kms:Decrypt"
                    if text(&statement["Condition"]["StringEquals"]["kms:ViaService"])
                        .starts_with("secretsmanager.") =>
                {
                    continue;
                }
                _ => None,
            };
            match used {
                Some(used) => drop(uses.insert(used)),
                None => wrong.push(format!(
                    "{}: teach this test what {action} on {resource} is for",
                    function.name
                )),
            }
        }
    }
    uses
}

fn pairs(statement: &Value) -> Vec<(String, String)> {
    let resources = list(&statement["Resource"]);
    list(&statement["Action"])
        .iter()
        .flat_map(|action| {
            resources
                .iter()
                .map(move |resource| (text(action), text(resource)))
        })
        .collect()
}

#[test]
fn a_function_with_a_secret_may_use_the_keys_of_secrets() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        let reads = |action: &str| {
            let of = |statement: &Value| pairs(statement).iter().any(|(allowed, _)| allowed == action);
            function.statements().iter().any(of)
        };
        // SAM itself lets a topic's consumer read the secret of its source.
        let has_secret =
            reads("secretsmanager:GetSecretValue") || !function.events_of("SelfManagedKafka").is_empty();
        if has_secret != reads("kms:Decrypt") {
            wrong.push(format!(
                "{}: kms:Decrypt with SecretKeyArns goes with a secret, and with nothing else",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn functions_with_a_database_are_in_its_network() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        let has_database = function.variables().contains_key("DATABASE_HOST");
        if has_database == function.properties["VpcConfig"].is_null() {
            wrong.push(format!(
                "{}: VpcConfig goes with DATABASE_HOST, and with nothing else",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

/// Least privilege ends at the database's door: only migrations sign in as its owner.
#[test]
fn functions_sign_in_as_the_user_of_their_area() {
    let rights = read("infra/rights.sql");
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        let Some(user) = function.variables().remove("DATABASE_USER") else {
            continue;
        };
        let expected = match function.name.as_str() {
            "Migrate" => "database-user".to_owned(),
            _ => format!("database-user_{}", snake_case(&function.stack)),
        };
        if user != expected {
            wrong.push(format!(
                "{}: it signs in as {user}, not as {expected}",
                function.name
            ));
        }
        let area = user.trim_start_matches("database-user_");
        if function.name != "Migrate" && !rights.contains(&format!("'{area}'")) {
            wrong.push(format!("infra/rights.sql makes no user for {area}"));
        }
    }
    nothing_wrong(&wrong);
}
