//! Logs, and the alarms that call a person.

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::*;

#[test]
fn every_function_logs_into_a_group_with_retention() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for function in template.functions() {
        let group = &function.properties["LoggingConfig"]["LogGroup"];
        let is_limited = template.resources("AWS::Logs::LogGroup").any(|other| {
            other.stack == function.stack
                && *group == other.id
                && !other.properties["RetentionInDays"].is_null()
        });
        if !is_limited {
            wrong.push(format!(
                "{}: name a log group of its stack with RetentionInDays in LoggingConfig",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

/// What alarms watch, as (metric, what the dimension names).
fn watched(template: &Template) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for alarm in template.resources("AWS::CloudWatch::Alarm") {
        let stats = list(&alarm.properties["Metrics"]);
        let metrics = stats
            .iter()
            .map(|stat| &stat["MetricStat"]["Metric"])
            .chain([&alarm.properties]);
        for metric in metrics {
            let watches = metric["Dimensions"][0]["Value"].as_str().map(str::to_owned);
            found.extend(metric["MetricName"].as_str().map(str::to_owned).zip(watches));
        }
    }
    found
}

#[test]
fn every_function_has_an_alarm() {
    let template = Template::load();
    let watched = watched(&template);
    let mut wrong = Vec::new();
    for function in template.functions() {
        // A job with one place waits for it by being throttled.
        let one_place = function.properties["ReservedConcurrentExecutions"] == json!(1);
        let metrics = if one_place {
            vec!["Errors"]
        } else {
            vec!["Errors", "Throttles"]
        };
        for metric in metrics {
            if !watched.contains(&(metric.to_owned(), function.name.clone())) {
                wrong.push(format!(
                    "{0}: name it in a list of its stack that makes {0}Fails, an alarm over its {metric}",
                    function.name
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_scheduled_function_has_an_alarm_for_its_silence() {
    let template = Template::load();
    let watched = watched(&template);
    let mut wrong = Vec::new();
    for function in template.functions() {
        let is_scheduled = !function.events_of("ScheduleV2").is_empty();
        let of_own = ("Invocations".to_owned(), function.name.clone());
        // The relay's silence is that of the outbox: OutboxOldestAgeSeconds is missing then.
        if is_scheduled && function.name != "RelayOutbox" && !watched.contains(&of_own) {
            wrong.push(format!(
                "{0}: name it in the list of its stack that makes {0}Silent",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

/// The metrics that the code emits, by their names in it.
fn emitted() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["functions", "shared"] {
        for file in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).expect("a source file is text");
            let is_emitting = text.contains("metrics::");
            let strings = text.split('"').skip(1).step_by(2);
            let is_name = |text: &&str| {
                let mut letters = text.chars();
                letters.next().is_some_and(char::is_uppercase)
                    && text.len() > 3
                    && text.chars().all(char::is_alphanumeric)
                    && text.chars().any(char::is_lowercase)
            };
            names.extend(strings.filter(is_name).filter(|_| is_emitting).map(str::to_owned));
        }
    }
    names
}

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// An alarm or a curve over a metric that nobody emits shows nothing for ever.
#[test]
fn alarms_and_dashboard_watch_metrics_that_the_code_emits() {
    let template = Template::load();
    let emitted = emitted();
    let mut named: BTreeSet<String> = BTreeSet::new();
    for alarm in template.resources("AWS::CloudWatch::Alarm") {
        let stats = list(&alarm.properties["Metrics"]);
        let metrics = stats
            .iter()
            .map(|stat| &stat["MetricStat"]["Metric"])
            .chain([&alarm.properties]);
        let ours = metrics.filter(|metric| metric["Namespace"] == "Moneta");
        named.extend(ours.map(|metric| text(&metric["MetricName"])));
    }
    for dashboard in template.resources("AWS::CloudWatch::Dashboard") {
        let body = text(&dashboard.properties["DashboardBody"]);
        let body: serde_json::Value = serde_json::from_str(&body).expect("the dashboard's body is JSON");
        assert!(list(&body["widgets"]).len() > 10, "{}", dashboard.id);
    }
    let dashboard = read("infra/template.yaml");
    let curves = dashboard.split("\"Moneta\", \"").skip(1);
    named.extend(
        curves
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned),
    );
    let misspelt: Vec<String> = named
        .difference(&emitted)
        .map(|name| format!("{name}: nobody emits it"))
        .collect();
    nothing_wrong(&misspelt);
    assert!(named.len() > 30, "only {named:?}");
}

#[test]
fn every_queue_has_an_alarm() {
    let template = Template::load();
    let (watched, given_up) = (watched(&template), template.final_queues());
    let mut wrong = Vec::new();
    for name in template.queues().into_keys() {
        let (metric, alarm) = if given_up.contains(&name) {
            ("ApproximateNumberOfMessagesVisible", "not-empty")
        } else {
            ("ApproximateAgeOfOldestMessage", "late")
        };
        if !watched.contains(&(metric.to_owned(), name.clone())) {
            wrong.push(format!("{name}: add {name}-{alarm}, an alarm over its {metric}"));
        }
    }
    nothing_wrong(&wrong);
}

/// Behind the API a panic, a fault or a missed deadline is an answer like any other, and no error of the function.
#[test]
fn failed_requests_raise_an_alarm() {
    let watched = watched(&Template::load());
    assert!(
        watched.contains(&("5xx".to_owned(), "Api".to_owned())),
        "add ApiFails, an alarm over 5xx (an HTTP API's name for it) of AWS/ApiGateway with the dimension ApiId"
    );
}

/// What a queue's or a function's alarm wants is the same for all of them.
const OF_MANY: [(&str, &str); 4] = [
    ("-fails", "FUNCTION-fails"),
    ("-silent", "FUNCTION-silent"),
    ("-dead-not-empty", "QUEUE-dead-not-empty"),
    ("-late", "…-late"),
];

#[test]
fn the_runbook_names_every_alarm() {
    let runbook = read("infra/RUNBOOK.md");
    let mut wrong = Vec::new();
    for alarm in Template::load().resources("AWS::CloudWatch::Alarm") {
        let full = text(&alarm.properties["AlarmName"]);
        let name = full.trim_start_matches(&name_prefix());
        let by_itself = runbook.contains(&format!("`{name}`"));
        let among_many = OF_MANY
            .iter()
            .any(|(end, of_all)| name.ends_with(end) && runbook.contains(&format!("`{of_all}`")));
        if !by_itself && !among_many {
            wrong.push(format!(
                "{}: say in infra/RUNBOOK.md what to do at `{name}`",
                alarm.id
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn what_people_have_to_look_at_raises_an_alarm() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for metric in [
        "UnknownOutcomes",
        "ReconciliationDifferences",
        "ParkedPayments",
        "RefusedTransitions",
        "ForeignPayments",
        "MissingPayments",
        "NotReconciled",
        "MissedBalances",
        "InvalidBalances",
        "WalletDifferences",
        "ExchangeRatesNotRefreshed",
        "PaymentConflicts",
        "DealerDifferences",
        "DealersNotReconciled",
        "OutboxOldestAgeSeconds",
        "RecordsNotPruned",
        "MissingLiveStates",
        "InternalErrors",
        "OpenReviews",
        "RefusedCharges",
        "ForeignWebhooks",
    ] {
        let found = template.resources("AWS::CloudWatch::Alarm").any(|alarm| {
            alarm.properties["Namespace"] == "Moneta"
                && alarm.properties["MetricName"] == metric
                && alarm.properties["Dimensions"] == json!([{"Name": "Stage", "Value": STAGE}])
        });
        if !found {
            wrong.push(format!(
                "{metric}: add an alarm over it, in namespace Moneta and with the dimension Stage alone"
            ));
        }
    }
    // An alarm over dimensions that nobody emits never rings, and nothing else would say so.
    if !read("shared/platform/src/observability/metrics.rs").contains(r#"["Stage"]"#) {
        wrong.push(
            r#"shared/platform/src/observability/metrics.rs: emit with "Dimensions": [["Stage"], ["Stage", "Function"]]"#
                .to_owned(),
        );
    }
    for alarm in template.resources("AWS::CloudWatch::Alarm") {
        for actions in ["AlarmActions", "OKActions"] {
            if alarm.properties[actions] != json!(["local-AlarmTopicArn"]) {
                wrong.push(format!("{}: let its {actions} tell AlarmTopicArn", alarm.id));
            }
        }
    }
    nothing_wrong(&wrong);
}
