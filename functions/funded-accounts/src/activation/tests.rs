//! The saga of an activation against PostgreSQL, with live states in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::clock::ManualClock;
use domain::funded::live::Live;
use domain::funded::thresholds::Thresholds;
use domain::ids::FundedAccountId;
use local_cloud::backends::TestDatabase;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::steps::LiveStates;
use super::*;
use crate::saga::tests::{World, passes};

const TRADER: &str = "
    INSERT INTO tiers (id, name, starting_balance_cents, profit_split, max_drawdown, max_risk_per_trade, min_trades,
                       drawdown_kind, updated_at)
    VALUES ('standard', 'Standard', 10000000, 0.8, 0.05, 0.02, 10, 'trailing', '2026-11-01T00:00:00Z');
    INSERT INTO traders (user_id, email, first_name, last_name, country, as_of)
    VALUES (7, 'a@example.com', 'Ada', 'Byron', 'US', '2026-11-01T00:00:00Z');
    INSERT INTO assessments (id, user_id, tier_id, status, completed_at)
    VALUES ('a-1', 7, 'standard', 'passed', '2026-11-01T00:00:00Z');";
const EMPTY: &str = "DELETE FROM outbox_messages; DELETE FROM funded_accounts; DELETE FROM funded_sagas;";
const SEEN: &str = "
    SELECT concat_ws(' ', (SELECT count(*) FROM funded_accounts WHERE activated_at IS NOT NULL),
        (SELECT count(*) FROM funded_accounts), (SELECT count(*) FROM funded_virtual_accounts),
        (SELECT string_agg(kind, ',' ORDER BY id) FROM outbox_messages))";

#[derive(Debug, Default)]
struct InMemory(Mutex<BTreeSet<FundedAccountId>>);

impl LiveStates for InMemory {
    async fn open(&self, id: FundedAccountId, _: &Thresholds, _: &Live) -> Result<(), Error> {
        self.0.lock().unwrap().insert(id);
        Ok(())
    }

    async fn remove(&self, id: FundedAccountId) -> Result<(), Error> {
        self.0.lock().unwrap().remove(&id);
        Ok(())
    }
}

/// What lasts as long as the test, so that a world can borrow it.
struct Ground {
    database: Database,
    clock: ClockHandle,
    assessment: Assessment,
    url: String,
}

struct OneActivation {
    steps: Activation<'static, InMemory>,
    live: &'static InMemory,
    ground: &'static Ground,
}

impl World for OneActivation {
    type Steps = Activation<'static, InMemory>;

    fn steps(&self) -> &Self::Steps {
        &self.steps
    }

    async fn seen(&self) -> String {
        let mut connection = PgConnection::connect(&self.ground.url).await.unwrap();
        let stored: String = sqlx::query_scalar(SEEN).fetch_one(&mut connection).await.unwrap();
        format!("{stored} {}", self.live.0.lock().unwrap().len())
    }
}

#[tokio::test]
async fn an_activation_passes_what_every_saga_has_to_pass() {
    let database = TestDatabase::start().await.unwrap();
    let mut connection = database.connection().await.unwrap();
    sqlx::raw_sql(TRADER).execute(&mut connection).await.unwrap();
    let now = "2026-11-02T00:00:00Z".parse().unwrap();
    let ground: &'static Ground = Box::leak(Box::new(Ground {
        database: Database::at(database.url()).unwrap(),
        clock: Arc::new(ManualClock::new(now)).into(),
        assessment: Assessment {
            id: "a-1".parse().unwrap(),
            user_id: "7".parse().unwrap(),
            profile_id: None,
            tier_id: "standard".parse().unwrap(),
            status: "passed",
            completed_at: now,
        },
        url: database.url().to_owned(),
    }));
    passes(async || {
        let mut connection = PgConnection::connect(&ground.url).await.unwrap();
        sqlx::raw_sql(EMPTY).execute(&mut connection).await.unwrap();
        let live: &'static InMemory = Box::leak(Box::default());
        OneActivation {
            steps: Activation {
                database: &ground.database,
                live,
                clock: &ground.clock,
                assessment: &ground.assessment,
            },
            live,
            ground,
        }
    })
    .await;
    what_was_told_last_counts(&mut connection).await;
}

/// An event that comes again after its correction makes no account, and one that was overtaken makes that of the newer one.
async fn what_was_told_last_counts(connection: &mut PgConnection) {
    let told = |id: &str, status: &str, tier: &str, hour: u32| -> AssessmentCompleted {
        serde_json::from_value(json!({
            "assessmentId": id, "userId": 7, "email": "a@example.com", "firstName": "Ada", "lastName": "Byron",
            "country": "US", "tierId": tier, "status": status, "completedAt": format!("2026-11-03T{hour:02}:00:00Z"),
        }))
        .unwrap()
    };
    let mut tier = async |message: &AssessmentCompleted| {
        let recorded = record(connection, message).await.unwrap();
        recorded.map(|assessment| assessment.tier_id.to_string())
    };
    let passed = told("a-2", "passed", "standard", 1);
    assert_eq!(tier(&passed).await.as_deref(), Some("standard"));
    assert_eq!(tier(&told("a-2", "failed", "standard", 2)).await, None);
    assert_eq!(tier(&passed).await, None);
    assert_eq!(
        tier(&told("a-2", "passed", "large", 3)).await.as_deref(),
        Some("large")
    );
    assert_eq!(tier(&passed).await.as_deref(), Some("large"));
}
