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

impl<'a> Taking<'a> {
    fn begin(gate: &'a Gate) -> Self {
        gate.taking.send_modify(|count| *count = count.saturating_add(1));
        Self(gate)
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0
            .taking
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Gate {
    /// Takes from the source as soon as the gate is open. A take that has begun goes on to its end when the gate
    /// closes: a queue may have handed its next message to a receive that is abandoned, and the message would be
    /// nobody's until its visibility timeout ends.
    pub(super) async fn take<T>(&self, take: impl Future<Output = T>) -> T {
        let _taking = self.enter().await;
        take.await
    }

    async fn enter(&self) -> Taking<'_> {
        let mut paused = self.paused.subscribe();
        loop {
            // The sender lives as long as this gate does, so that waiting can't fail.
            let _ = paused.wait_for(|paused| !paused).await;
            let taking = Taking::begin(self);
            // Counted first and checked again then: a gate that closes in between doesn't wait in vain.
            if !self.is_paused() {
                return taking;
            }
        }
    }

    /// Opens or closes it; once it is closed no message is taken any more.
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
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_closing_gate_lets_the_present_receive_end_and_no_other_begin() {
        let gate = Gate::default();
        let (message, received) = oneshot::channel();
        let taken = tokio::spawn({
            let gate = gate.clone();
            async move { gate.take(received).await }
        });
        let mut taking = gate.taking.subscribe();
        taking.wait_for(|count| *count == 1).await.unwrap();

        let mut closed = Box::pin(gate.pause(true));
        assert!(futures::poll!(closed.as_mut()).is_pending());
        message.send(1).unwrap();
        closed.await;
        assert_eq!(taken.await.unwrap(), Ok(1));

        let mut next = Box::pin(gate.take(async { 2 }));
        assert!(futures::poll!(next.as_mut()).is_pending());
        gate.pause(false).await;
        assert_eq!(next.await, 2);
    }
}
