//! What functions log: their lines come through a pipe, and often after the answer.

use anyhow::ensure;

use crate::{Fixture, Result, eventually};

impl Fixture {
    /// How many lines of a function's log so far fit.
    pub fn count_logged(&self, function: &str, fits: impl Fn(&str) -> bool) -> usize {
        let lines = self.cloud.logs(function);
        lines.iter().filter(|line| fits(line)).count()
    }

    /// Waits until at least so many lines of a function's log fit.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn logs_reach(&self, function: &str, count: usize, fits: impl Fn(&str) -> bool) -> Result {
        eventually(&format!("{function} has logged it"), async || {
            let logged = self.count_logged(function, &fits);
            ensure!(logged >= count, "{logged} lines fit, not {count}");
            Ok(())
        })
        .await
    }
}
