//! Who runs beside whom.

use std::time::Duration;

use tokio::{
    sync::{Mutex, Notify},
    time::Instant,
};

use super::Company;
use crate::{Fixture, Result};

/// Lets in scenarios of one company at a time.
#[derive(Default)]
pub(super) struct Gate {
    /// Scenarios come in one after the other, in the order in which they ask: what one finds doesn't depend on chance.
    queue: Mutex<()>,
    inside: Mutex<Inside>,
    left: Notify,
}

/// Who runs at present.
#[derive(Default)]
struct Inside {
    /// The company of those that run, or ran last.
    company: Option<Company>,
    running: usize,
}

/// A scenario's leave to run.
pub(super) struct Turn {
    /// How long it waited for what earlier scenarios had left to be done.
    pub(super) waited: Duration,
}

impl Gate {
    /// Waits until a scenario of this company may run; then everything is as its company finds it.
    ///
    /// # Errors
    /// When the local cloud doesn't come to rest.
    pub(super) async fn enter(&self, company: Company, fixture: &Fixture) -> Result<Turn> {
        let _place = self.queue.lock().await;
        loop {
            let left = self.left.notified();
            let mut inside = self.inside.lock().await;
            let joins = inside.company == Some(company) && company != Company::Alone;
            if inside.running == 0 || joins {
                let begun = Instant::now();
                // What earlier scenarios left to be done would meet the faults of this one. Others of its company wait at
                // the lock meanwhile.
                if inside.running == 0 && inside.company.is_some() && !joins || company == Company::Alone {
                    fixture.put_back();
                    fixture.rest().await?;
                }
                if company == Company::ByHand {
                    fixture.by_hand();
                }
                inside.company = Some(company);
                inside.running += 1;
                let waited = begun.elapsed();
                return Ok(Turn { waited });
            }
            drop(inside);
            left.await;
        }
    }

    /// Lets in whoever waits when the last of a company has ended.
    pub(super) async fn leave(&self, company: Company, fixture: &Fixture) {
        let mut inside = self.inside.lock().await;
        if company == Company::Alone {
            fixture.put_back();
        }
        inside.running -= 1;
        if inside.running == 0 {
            self.left.notify_waiters();
        }
    }
}
