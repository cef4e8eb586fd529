//! One item an account: state and rules are never apart. Every change is conditional on the version that it was made from.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::funded::FundedAccountStatus;
use domain::funded::live::{Breach, Live, State};
use domain::funded::rules::{RuleEvaluation, RuleStatus};
use domain::funded::thresholds::Thresholds;
use domain::ids::{CorrelationId, FundedAccountId};
use platform::aws;
use platform::config::{Environment, FromEnvironment};
use platform::observability::correlation;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Tries of a change that others make at the same moment.
const MAX_ATTEMPTS: u32 = 10;

type Attributes = HashMap<String, AttributeValue>;

/// An account as it is now.
#[derive(Debug, Clone)]
pub(crate) struct LiveAccount {
    pub(crate) id: FundedAccountId,
    pub(crate) thresholds: Thresholds,
    pub(crate) live: Live,
    /// Counts its changes.
    pub(crate) version: i64,
}

/// The item. Its stream's filters read `attention`, a text, since numbers are texts to them.
#[derive(Debug, Serialize, Deserialize)]
struct Item {
    pk: String,
    funded_account_id: FundedAccountId,
    version: i64,
    status: FundedAccountStatus,
    attention: String,
    terms: Thresholds,
    state: State,
    rules: Vec<RuleEvaluation>,
    breach: Option<Breach>,
    /// As JSON, which is a fifth of what its attributes would take.
    history: String,
    correlation_id: CorrelationId,
}

/// The table.
#[derive(Debug, Clone)]
pub(crate) struct LiveTable {
    name: String,
}

impl FromEnvironment for LiveTable {
    /// Reads `TABLE_FUNDED_ACCOUNTS`.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.ahead(async {
            aws::dynamodb().await;
        });
        Some(Self {
            name: environment.required("TABLE_FUNDED_ACCOUNTS")?,
        })
    }
}

impl LiveTable {
    /// The account as it is now.
    pub(crate) async fn get(&self, id: FundedAccountId) -> Result<Option<LiveAccount>, Error> {
        let get = aws::dynamodb().await.get_item().table_name(&self.name);
        let response = get
            .set_key(Some(key(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        response.item.map(read).transpose()
    }

    /// Makes the item of an account unless there is one.
    pub(crate) async fn create(
        &self,
        id: FundedAccountId,
        thresholds: &Thresholds,
        live: &Live,
        version: i64,
    ) -> Result<(), Error> {
        let account = LiveAccount {
            id,
            thresholds: thresholds.clone(),
            live: live.clone(),
            version,
        };
        let put = self.put(&account).await?;
        is_written(put.condition_expression("attribute_not_exists(pk)"))
            .await
            .map(drop)
    }

    /// Takes the item of an account away.
    pub(crate) async fn delete(&self, id: FundedAccountId) -> Result<(), Error> {
        let delete = aws::dynamodb().await.delete_item().table_name(&self.name);
        let sent = delete.set_key(Some(key(id))).send().await;
        sent.map(drop).map_err(|error| Error::dynamodb(&error))
    }

    /// Changes an account by what a rule makes of it, however many do so at once; `None` from the rule leaves it as it is.
    /// Gives the account as it is afterwards.
    pub(crate) async fn change(
        &self,
        id: FundedAccountId,
        rule: impl Fn(&LiveAccount) -> Result<Option<Live>, Error>,
    ) -> Result<LiveAccount, Error> {
        self.change_whole(id, |known| {
            let live = rule(known)?;
            Ok(live.map(|live| LiveAccount {
                live,
                ..known.clone()
            }))
        })
        .await
    }

    /// The same, where the thresholds change as well.
    pub(crate) async fn change_whole(
        &self,
        id: FundedAccountId,
        rule: impl Fn(&LiveAccount) -> Result<Option<LiveAccount>, Error>,
    ) -> Result<LiveAccount, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let known = self.get(id).await?.ok_or(Error::AccountNotFound)?;
            let Some(changed) = rule(&known)? else {
                return Ok(known);
            };
            let next = LiveAccount {
                version: known.version.saturating_add(1),
                ..changed
            };
            let put = self.put(&next).await?;
            let put = put
                .condition_expression("version = :version")
                .expression_attribute_values(":version", AttributeValue::N(known.version.to_string()));
            if is_written(put).await? {
                return Ok(next);
            }
        }
        Err(Error::Contended)
    }

    /// Every account, without the snapshots that it remembers: for runs that look at all of them.
    pub(crate) async fn all(&self) -> Result<Vec<LiveSummary>, Error> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let scan = aws::dynamodb().await.scan().table_name(&self.name);
            let page = scan
                .projection_expression("funded_account_id, version, #status, terms, #state, #rules, breach")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#state", "state")
                .expression_attribute_names("#rules", "rules")
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| Error::dynamodb(&error))?;
            found.extend(page.items.unwrap_or_default().into_iter().filter_map(|item| {
                let read = serde_dynamo::from_item(item);
                // One that can't be read is no reason to leave the others alone.
                read.inspect_err(unreadable).ok()
            }));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn put(&self, account: &LiveAccount) -> Result<PutItemFluentBuilder, Error> {
        let live = &account.live;
        let item = Item {
            pk: account.id.to_string(),
            funded_account_id: account.id,
            version: account.version,
            status: live.status(),
            attention: attention(live).name().to_owned(),
            terms: account.thresholds.clone(),
            state: live.state.clone(),
            rules: live.evaluations.clone(),
            breach: live.breach.clone(),
            history: serde_json::to_string(&live.history).map_err(|error| Error::item(&error))?,
            correlation_id: correlation::current(),
        };
        let item: Attributes = serde_dynamo::to_item(item).map_err(|error| Error::item(&error))?;
        let put = aws::dynamodb().await.put_item().table_name(&self.name);
        Ok(put.set_item(Some(item)))
    }
}

/// An account without the snapshots that it remembers, as it is in the table and in its stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct LiveSummary {
    pub(crate) funded_account_id: FundedAccountId,
    pub(crate) version: i64,
    pub(crate) status: FundedAccountStatus,
    pub(crate) terms: Thresholds,
    pub(crate) state: State,
    pub(crate) rules: Vec<RuleEvaluation>,
    pub(crate) breach: Option<Breach>,
}

impl LiveSummary {
    /// The account in an image of the table's stream; none in the image of one that was taken away, or that can't be read,
    /// which is reported.
    pub(crate) fn of_image(image: &serde_dynamo::Item) -> Option<Self> {
        if image.is_empty() {
            return None;
        }
        let read = serde_dynamo::from_item(image.clone());
        read.inspect_err(unreadable).ok()
    }
}

/// No other try will read it: it is reported, and the sweep reports it again until it is mended.
fn unreadable(error: &serde_dynamo::Error) {
    tracing::error!(%error, "reading a live state failed");
    platform::observability::metrics::count("UnreadableItems", 1);
}

/// The worst that a rule says.
fn attention(live: &Live) -> RuleStatus {
    let of_rules = live.evaluations.iter().map(|evaluation| evaluation.status);
    match live.status() {
        FundedAccountStatus::Closed => RuleStatus::Violation,
        FundedAccountStatus::Active => of_rules.max().unwrap_or(RuleStatus::Safe),
    }
}

fn key(id: FundedAccountId) -> Attributes {
    HashMap::from([("pk".to_owned(), AttributeValue::S(id.to_string()))])
}

fn read(item: Attributes) -> Result<LiveAccount, Error> {
    let item: Item = serde_dynamo::from_item(item).map_err(|error| Error::item(&error))?;
    let history = serde_json::from_str(&item.history).map_err(|error| Error::item(&error))?;
    Ok(LiveAccount {
        id: item.funded_account_id,
        thresholds: item.terms,
        live: Live {
            state: item.state,
            evaluations: item.rules,
            breach: item.breach,
            history,
        },
        version: item.version,
    })
}

/// Sends a conditional write; `false` when its condition doesn't hold.
async fn is_written(put: PutItemFluentBuilder) -> Result<bool, Error> {
    match put.send().await {
        Ok(_) => Ok(true),
        Err(error) => {
            let is_refused = error
                .as_service_error()
                .is_some_and(|error| error.is_conditional_check_failed_exception());
            if is_refused {
                return Ok(false);
            }
            Err(Error::dynamodb(&error))
        }
    }
}
