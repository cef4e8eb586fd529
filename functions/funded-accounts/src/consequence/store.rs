//! `funded_account_warnings`, and the closing of `funded_accounts`, each with its events.

use chrono::{DateTime, NaiveDate, Utc};
use domain::funded::live::Breach;
use domain::funded::rules::RuleEvaluation;
use domain::ids::{FundedAccountId, ProfileId, UserId};
use domain::market::MarketCalendar;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::events::{self, Closure, Owner, Warning};
use crate::live::store::LiveSummary;

/// An account to which something happened, and at which place of what was found.
struct AffectedAccount {
    funded_account_id: FundedAccountId,
    user_id: UserId,
    profile_id: Option<ProfileId>,
    position: i64,
}

impl AffectedAccount {
    fn owner(&self) -> Owner {
        Owner {
            funded_account_id: self.funded_account_id,
            user_id: self.user_id,
            profile_id: self.profile_id,
        }
    }
}

/// Closes the records of accounts, unless they are closed or a person has opened them again after this breach, and tells of
/// it; gives how many were closed.
pub(super) async fn close(
    connection: &mut PgConnection,
    breaches: &[(FundedAccountId, &Breach)],
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    if breaches.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = breaches.iter().map(|(id, _)| id.get()).collect();
    let rules: Vec<String> = breaches
        .iter()
        .map(|(_, breach)| breach.rule.to_string())
        .collect();
    let epochs: Vec<i64> = breaches.iter().map(|(_, breach)| breach.place.epoch).collect();
    let sequences: Vec<i64> = breaches.iter().map(|(_, breach)| breach.place.sequence).collect();
    let evidence: Vec<Json<&Breach>> = breaches.iter().map(|(_, breach)| Json(*breach)).collect();
    let closed = sqlx::query_as!(
        AffectedAccount,
        r#"UPDATE funded_accounts AS account
           SET status = 'closed', closed_at = $6, closure_reason = rule, breach = found.breach
           FROM unnest($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::BIGINT[], $5::JSONB[]) WITH ORDINALITY
                AS found (id, rule, epoch, sequence, breach, position)
           JOIN funded_accounts AS owned ON owned.id = found.id JOIN traders ON traders.user_id = owned.user_id
           WHERE account.id = found.id AND account.status = 'active' AND NOT EXISTS (
               SELECT 1 FROM funded_account_restorations AS restored
               WHERE restored.funded_account_id = found.id AND restored.epoch = found.epoch AND restored.sequence = found.sequence)
           RETURNING account.id AS "funded_account_id: _", account.user_id AS "user_id: _",
               traders.profile_id AS "profile_id: _", position AS "position!""#,
        &ids,
        &rules,
        &epochs,
        &sequences,
        &evidence as _,
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    name_lowest(connection, &ids, &rules, &evidence).await?;
    let closures: Vec<Closure> = in_order(&closed)
        .filter_map(|affected| {
            let (_, breach) = at(breaches, affected)?;
            let (owner, breach) = (affected.owner(), (*breach).clone());
            Some(Closure { owner, breach })
        })
        .collect();
    events::publish_closures(connection, &closures).await?;
    Ok(closures.len())
}

/// A snapshot that came late may show that the rules were violated before: the breach with the lowest place is the one that
/// is named.
async fn name_lowest(
    connection: &mut PgConnection,
    ids: &[i64],
    rules: &[String],
    evidence: &[Json<&Breach>],
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE funded_accounts AS account SET breach = found.breach, closure_reason = rule \
         FROM unnest($1::BIGINT[], $2::TEXT[], $3::JSONB[]) AS found (id, rule, breach) \
         WHERE account.id = found.id AND status = 'closed' AND \
             ((found.breach -> 'place' ->> 'epoch')::BIGINT, (found.breach -> 'place' ->> 'sequence')::BIGINT) \
             < ((account.breach -> 'place' ->> 'epoch')::BIGINT, (account.breach -> 'place' ->> 'sequence')::BIGINT)",
        ids,
        rules,
        evidence as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes what traders have to be told of rules, and tells what wasn't told on its day in New York; gives how much that was.
/// After danger on a day a warning isn't told any more.
pub(super) async fn warn(
    connection: &mut PgConnection,
    warnings: &[(&LiveSummary, &RuleEvaluation)],
) -> Result<usize, Error> {
    if warnings.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = warnings
        .iter()
        .map(|(live, _)| live.funded_account_id.get())
        .collect();
    let rules: Vec<String> = warnings
        .iter()
        .map(|(_, evaluation)| evaluation.rule.to_string())
        .collect();
    let days: Vec<NaiveDate> = warnings.iter().map(|(live, _)| day(live)).collect();
    let levels: Vec<String> = warnings
        .iter()
        .map(|(_, evaluation)| evaluation.status.to_string())
        .collect();
    let warned = sqlx::query_as!(
        AffectedAccount,
        r#"WITH found AS (
               SELECT DISTINCT ON (id, rule, day, level) * FROM unnest($1::BIGINT[], $2::TEXT[], $3::DATE[], $4::TEXT[])
                   WITH ORDINALITY AS found (id, rule, day, level, position)
               ORDER BY id, rule, day, level, position
           ), implied AS (
               SELECT id, rule, day, level FROM found
               UNION SELECT id, rule, day, 'warning' FROM found WHERE level = 'danger'
           ), noted AS (
               INSERT INTO funded_account_warnings (funded_account_id, rule, day, level)
               SELECT implied.* FROM implied JOIN funded_accounts AS account ON account.id = implied.id
               WHERE account.activated_at IS NOT NULL ORDER BY 1, 2, 3, 4
               ON CONFLICT DO NOTHING RETURNING *
           )
           SELECT account.id AS "funded_account_id: _", account.user_id AS "user_id: _",
               traders.profile_id AS "profile_id: _", found.position AS "position!"
           FROM noted JOIN found ON found.id = noted.funded_account_id AND found.rule = noted.rule AND found.day = noted.day
               AND found.level = noted.level
           JOIN funded_accounts AS account ON account.id = found.id JOIN traders USING (user_id)
           WHERE NOT (found.level = 'warning' AND EXISTS (
               SELECT 1 FROM found AS worse WHERE worse.id = found.id AND worse.rule = found.rule AND worse.day = found.day
                   AND worse.level = 'danger' AND worse.position < found.position))"#,
        &ids,
        &rules,
        &days,
        &levels,
    )
    .fetch_all(&mut *connection)
    .await?;
    let to_tell: Vec<Warning> = in_order(&warned)
        .filter_map(|affected| {
            let (live, evaluation) = at(warnings, affected)?;
            Some(Warning {
                owner: affected.owner(),
                evaluation: (*evaluation).clone(),
                at: live.state.at,
            })
        })
        .collect();
    events::publish_warnings(connection, &to_tell).await?;
    Ok(to_tell.len())
}

fn day(live: &LiveSummary) -> NaiveDate {
    MarketCalendar::business_date(live.state.at)
}

/// In the order of what was found.
fn in_order(affected: &[AffectedAccount]) -> impl Iterator<Item = &AffectedAccount> {
    let mut sorted: Vec<&AffectedAccount> = affected.iter().collect();
    sorted.sort_by_key(|account| account.position);
    sorted.into_iter()
}

/// What was found at a position, which counts from 1.
fn at<'a, T>(found: &'a [T], affected: &AffectedAccount) -> Option<&'a T> {
    let index = usize::try_from(affected.position).ok()?.checked_sub(1)?;
    found.get(index)
}
