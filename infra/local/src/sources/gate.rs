//! A gate before an event source: closed, nothing more is taken from the source.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Clone)]
pub(super) struct Gate {
    paused: Arc<watch::Sender<bool>>,
    taking: Arc<watch::Sender<usize>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            paused: Arc::new(watch::Sender::new(false)),
            taking: Arc::new(watch::Sender::new(0)),
        }
    }
}

/// Counts one poller that takes; also when its task is aborted.
struct Taking<'a>(&'a Gate);

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0
            .taking
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Gate {
    /// Takes from the source as soon as the gate is open; none when it closes meanwhile.
    pub(super) async fn take<T>(&self, take: impl Future<Output = T>) -> Option<T> {
        let mut paused = self.paused.subscribe();
        // The sender lives as long as this gate does, so that waiting can't fail.
        let _ = paused.wait_for(|paused| !paused).await;
        self.taking.send_modify(|count| *count += 1);
        let _taking = Taking(self);
        tokio::select! {
            biased;
            _ = paused.wait_for(|paused| *paused) => None,
            taken = take => Some(taken),
        }
    }

    /// Opens or closes it; once it is closed nobody takes any more.
    pub(super) async fn pause(&self, pause: bool) {
        self.paused.send_replace(pause);
        if pause {
            let mut taking = self.taking.subscribe();
            let _ = taking.wait_for(|count| *count == 0).await;
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_taken_while_it_is_closed() {
        let gate = Gate::default();
        assert_eq!(gate.take(async { 1 }).await, Some(1));
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.take(std::future::pending::<i32>()).await }
        });
        let mut taking = gate.taking.subscribe();
        taking.wait_for(|count| *count == 1).await.unwrap();
        gate.pause(true).await;
        assert_eq!(waiting.await.unwrap(), None);
        gate.pause(false).await;
        assert_eq!(gate.take(async { 2 }).await, Some(2));
    }
}
