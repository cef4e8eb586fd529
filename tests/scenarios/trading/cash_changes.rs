//! After the cash has changed, a portfolio's targets are what it holds: once per event, from answers that hold
//! together, and never over targets that somebody has set since.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::customers::NewCustomer;
use end_to_end::{
    Fixture, Result, SUCCEEDED, Scenario, Tester, ensure_eq, eventually, fifo_event, new_domain_event,
    scenarios,
};
use futures::future::try_join_all;
use local_cloud::sandboxes::drivewealth::AccountState;
use local_cloud::sandboxes::{Effect, Fault, PortfolioDefect};
use serde_json::{Value, json};

const CONSUMER: &str = "on_cash_changed";
const QUEUE: &str = "portfolio-changes";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        targets_become_what_is_held_and_sum_to_one,
        targets_sum_to_one_however_odd_the_values,
        message_delivered_again_changes_nothing,
        copies_at_the_same_time_end_the_same,
        account_without_funds_is_all_cash,
        alone(response_that_makes_no_sense_is_not_used),
        alone(message_that_fails_comes_again_and_keeps_its_account_waiting),
        alone(targets_whose_response_was_lost_are_set_again),
        alone(account_that_is_closed_keeps_its_cash_only),
        portfolio_that_was_recreated_is_followed,
    ]
}

fn account(fixture: &Fixture, tester: &Tester) -> Result<AccountState> {
    let account = fixture
        .cloud
        .drivewealth()
        .account(&tester.customer.drivewealth_account_id);
    account.ok_or_else(|| anyhow::anyhow!("the broker has no such account"))
}

/// Where the broker tells of the account's portfolio.
fn portfolio_path(tester: &Tester) -> String {
    format!("/accounts/{}/portfolio", tester.customer.drivewealth_account_id)
}

fn changed(tester: &Tester) -> Value {
    let data = json!({
        "drivewealth_account_id": tester.customer.drivewealth_account_id,
        "money_flow_id": 1,
        "profile_id": tester.customer.profile_id,
    });
    new_domain_event(
        "portfolio.cash-changed",
        &tester.customer.drivewealth_account_id,
        data,
    )
}

async fn deliver(fixture: &Fixture, tester: &Tester, event: &Value) -> Result<Vec<usize>> {
    let group = tester.customer.drivewealth_account_id.as_str();
    let event = fifo_event(QUEUE, &[(group, event.to_string())]);
    end_to_end::failed_items(&fixture.cloud.invoke(CONSUMER, event).await?)
}

/// The targets in ten-thousandths, the cash's first.
fn targets(account: &AccountState) -> Vec<i64> {
    let funds = account.funds.iter().map(|fund| fund.target);
    std::iter::once(account.cash_target).chain(funds).collect()
}

/// How often somebody has set targets of the account's portfolio.
fn times_set(fixture: &Fixture, tester: &Tester) -> Result<usize> {
    let portfolio = account(fixture, tester)?.portfolio_id;
    let calls = fixture.cloud.drivewealth().calls();
    let is_set = |method: &str, path: &str| method == "PATCH" && path.ends_with(&portfolio);
    Ok(calls
        .iter()
        .filter(|call| is_set(&call.method, &call.path))
        .count())
}

/// The targets are the actual weights to a ten-thousandth, and sum to one.
fn ensure_follows(fixture: &Fixture, tester: &Tester) -> Result {
    let account = account(fixture, tester)?;
    let values = std::iter::once(account.cash_cents).chain(account.funds.iter().map(|fund| fund.value_cents));
    let targets = targets(&account);
    ensure_eq!(targets.iter().sum::<i64>(), 10_000, "the sum of {targets:?}");
    for (target, value) in targets.iter().zip(values) {
        // Exactly: |target / 10,000 − value / equity| < 1 / 10,000.
        let off = (i128::from(*target) * i128::from(account.equity_cents) - i128::from(value) * 10_000).abs();
        ensure!(
            off < i128::from(account.equity_cents),
            "target {target} for {value} in {account:?}"
        );
    }
    Ok(())
}

async fn targets_become_what_is_held_and_sum_to_one(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = targets(&account(&fixture, &tester)?);
    ensure_eq!(before, [2_000, 6_000, 2_000]);
    let id = tester.deposit(100_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(id, "success").await?;
    eventually("the targets follow", async || {
        // $2,000.00 of $6,000.00 is cash now; the odd ten-thousandth goes to the largest remainder.
        ensure_eq!(targets(&account(&fixture, &tester)?), [3_333, 5_000, 1_667]);
        Ok(())
    })
    .await?;
    ensure_follows(&fixture, &tester)
}

async fn targets_sum_to_one_however_odd_the_values(fixture: Arc<Fixture>) -> Result {
    let cases: [(i64, [i64; 3]); 5] = [
        (1, [1, 1, 1]),
        (33_333, [33_333, 33_333, 1]),
        (99_999_999, [1, 2, 3]),
        (0, [7, 11, 13]),
        (123_457, [7_654_321, 999, 31_415_926]),
    ];
    let checks = cases.map(|(cash, values)| {
        let fixture = &fixture;
        async move {
            let names = ["Clean energy", "Robotics", "Water"];
            let new = NewCustomer {
                funds: names.map(|name| (name.to_owned(), 2_000)).to_vec(),
                ..NewCustomer::default()
            };
            let tester = fixture.customer_with(&new).await?;
            let id = &tester.customer.drivewealth_account_id;
            fixture.cloud.drivewealth().set_cash(id, cash, cash)?;
            for (name, value) in names.iter().zip(values) {
                fixture.cloud.drivewealth().set_fund_value(id, name, value)?;
            }
            ensure_eq!(
                deliver(fixture, &tester, &changed(&tester)).await?,
                Vec::<usize>::new(),
                "{cash} {values:?}"
            );
            ensure_follows(fixture, &tester)?;
            Ok(())
        }
    });
    try_join_all(checks).await?;
    // V11: the broker floors these to .9937 and .0062; by value the fund's is .0063.
    let tester = fixture.customer().await?;
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, 2_975_893, 2_975_893)?;
    for (name, value) in [("Clean energy", 18_795), ("Robotics", 0)] {
        fixture.cloud.drivewealth().set_fund_value(id, name, value)?;
    }
    ensure_eq!(
        deliver(&fixture, &tester, &changed(&tester)).await?,
        Vec::<usize>::new()
    );
    ensure_eq!(targets(&account(&fixture, &tester)?), [9_937, 63, 0]);
    Ok(())
}

async fn message_delivered_again_changes_nothing(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, 150_000, 150_000)?;
    let event = changed(&tester);
    ensure_eq!(deliver(&fixture, &tester, &event).await?, Vec::<usize>::new());
    ensure_eq!(times_set(&fixture, &tester)?, 1);
    let followed = targets(&account(&fixture, &tester)?);

    // Somebody invests: the values are others, and so are the targets, which an old message must not undo.
    fixture.cloud.drivewealth().set_cash(id, 50_000, 50_000)?;
    fixture
        .cloud
        .drivewealth()
        .set_fund_value(id, "Robotics", 200_000)?;
    for _ in 0..3 {
        ensure_eq!(deliver(&fixture, &tester, &event).await?, Vec::<usize>::new());
    }
    ensure_eq!(times_set(&fixture, &tester)?, 1);
    ensure_eq!(targets(&account(&fixture, &tester)?), followed);
    Ok(())
}

async fn copies_at_the_same_time_end_the_same(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, 150_000, 150_000)?;
    let event = changed(&tester);
    for failed in try_join_all((0..5).map(|_| deliver(&fixture, &tester, &event))).await? {
        ensure_eq!(failed, Vec::<usize>::new());
    }
    ensure_follows(&fixture, &tester)
}

async fn account_without_funds_is_all_cash(fixture: Arc<Fixture>) -> Result {
    let new = NewCustomer {
        funds: Vec::new(),
        ..NewCustomer::default()
    };
    let tester = fixture.customer_with(&new).await?;
    let id = tester.withdraw(100_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(id, "success").await?;
    // Now there is nothing at all: no weights to speak of, and nothing to set.
    let id = tester.deposit(5_000).await?.expect(201)?.number("id")?;
    fixture.outbox_has(id, &SUCCEEDED).await?;
    fixture.queue_reaches(QUEUE, 0).await?;
    ensure_eq!(fixture.held_by("portfolio-changes-dead").await?, 0);
    ensure_eq!(targets(&account(&fixture, &tester)?), [10_000]);
    Ok(())
}

async fn response_that_makes_no_sense_is_not_used(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, 150_000, 150_000)?;
    let before = targets(&account(&fixture, &tester)?);
    let event = changed(&tester);
    let path = portfolio_path(&tester);
    for defect in [
        PortfolioDefect::Negative,
        PortfolioDefect::Sum,
        PortfolioDefect::Nulls,
    ] {
        fixture
            .cloud
            .drivewealth()
            .fault(Fault::new("GET", &path, Effect::InvalidPortfolio { defect }));
        ensure_eq!(deliver(&fixture, &tester, &event).await?, [0], "{defect:?}");
        ensure_eq!(times_set(&fixture, &tester)?, 0, "{defect:?}");
        ensure_eq!(targets(&account(&fixture, &tester)?), before, "{defect:?}");
        // The cash is another all the same, and is shown.
        ensure_eq!(
            tester.profile().await?.get("cash_cents"),
            Some(&json!(150_000)),
            "{defect:?}"
        );
    }
    ensure_eq!(deliver(&fixture, &tester, &event).await?, Vec::<usize>::new());
    ensure_follows(&fixture, &tester)
}

/// Through the queue: the answer is nonsense twice, the message comes again, and another account isn't held up.
async fn message_that_fails_comes_again_and_keeps_its_account_waiting(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    for one in [&tester, &other] {
        let id = &one.customer.drivewealth_account_id;
        fixture.cloud.drivewealth().set_cash(id, 150_000, 150_000)?;
    }
    let defect = PortfolioDefect::Sum;
    let nonsense = Fault::new(
        "GET",
        &portfolio_path(&tester),
        Effect::InvalidPortfolio { defect },
    );
    fixture.cloud.drivewealth().fault(nonsense.times(2));
    for one in [&tester, &other] {
        let group = &one.customer.drivewealth_account_id;
        fixture
            .send_in_group(QUEUE, group, &changed(one).to_string())
            .await?;
    }
    for one in [&tester, &other] {
        eventually("the targets follow", async || {
            ensure_eq!(times_set(&fixture, one)?, 1);
            ensure_follows(&fixture, one)
        })
        .await?;
    }
    fixture.queue_reaches(QUEUE, 0).await?;
    ensure_eq!(fixture.held_by("portfolio-changes-dead").await?, 0);
    Ok(())
}

async fn targets_whose_response_was_lost_are_set_again(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, 150_000, 150_000)?;
    let lost = Effect::Reset { after_doing: true };
    let portfolio = account(&fixture, &tester)?.portfolio_id;
    let path = format!("/managed/portfolios/{portfolio}");
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("PATCH", &path, lost));
    ensure_eq!(
        deliver(&fixture, &tester, &changed(&tester)).await?,
        Vec::<usize>::new()
    );
    ensure_eq!(times_set(&fixture, &tester)?, 2);
    ensure_follows(&fixture, &tester)
}

async fn account_that_is_closed_keeps_its_cash_only(fixture: Arc<Fixture>) -> Result {
    fixture.cloud.drivewealth().hold_events(true);
    let tester = fixture.customer().await?;
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, 150_000, 150_000)?;
    fixture.cloud.drivewealth().set_account_status(id, "CLOSED")?;
    let failed = deliver(&fixture, &tester, &changed(&tester)).await;
    fixture.cloud.drivewealth().hold_events(false);
    ensure_eq!(failed?, Vec::<usize>::new());
    ensure_eq!(times_set(&fixture, &tester)?, 0);
    let profile = tester.profile().await?;
    ensure_eq!(
        (profile.get("cash_cents"), profile.get("account_status")),
        (Some(&json!(150_000)), Some(&json!("closed")))
    );
    Ok(())
}

/// The broker gave the account another portfolio than the one that is stored.
async fn portfolio_that_was_recreated_is_followed(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let event = changed(&tester);
    ensure_eq!(deliver(&fixture, &tester, &event).await?, Vec::<usize>::new());
    let other = "UPDATE drivewealth_portfolios SET ref_id = 'portfolio_old_' || ref_id WHERE drivewealth_account_id = \
                 (SELECT ref_id FROM drivewealth_accounts WHERE trading_account_id = $1)";
    let account = tester.customer.trading_account_id;
    ensure_eq!(fixture.database.change(other, account).await?, 1);
    ensure_eq!(
        deliver(&fixture, &tester, &changed(&tester)).await?,
        Vec::<usize>::new()
    );
    let old = "SELECT count(*) FROM drivewealth_portfolios JOIN drivewealth_accounts \
               ON drivewealth_accounts.ref_id = drivewealth_account_id \
               WHERE trading_account_id = $1 AND drivewealth_portfolios.ref_id LIKE 'portfolio_old_%'";
    ensure_eq!(fixture.database.count(old, account).await?, 0);
    Ok(())
}
