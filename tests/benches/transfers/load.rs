//! Who pays whom, and how many at once.

use rand::Rng;

/// How long each row is measured in one round.
pub(crate) const SECONDS: u64 = 3;

/// How often each wallet pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Each as often as any other.
    Even,
    /// The second half as often as the first, the third a third as often, and so on.
    Zipf,
}

/// What the database is asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) wallets: u32,
    pub(crate) spread: Spread,
    pub(crate) connections: u32,
}

/// Draws payers and receivers.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    wallets: u32,
    /// Of a Zipf spread: the weight of each wallet and those before it.
    weights: Vec<u64>,
}

impl Pairs {
    pub(crate) fn of(load: Load) -> Self {
        let mut sum = 0;
        let weights = match load.spread {
            Spread::Even => Vec::new(),
            Spread::Zipf => (1..=u64::from(load.wallets))
                .map(|rank| {
                    sum += 1_000_000_000_000 / rank;
                    sum
                })
                .collect(),
        };
        Self {
            wallets: load.wallets,
            weights,
        }
    }

    /// A payer and a receiver, which is another; their clients have the same numbers.
    pub(crate) fn draw(&self) -> anyhow::Result<(u32, u32)> {
        let mut random = rand::rng();
        let payer = match self.weights.last() {
            None => random.random_range(0..self.wallets),
            Some(all) => {
                let drawn = random.random_range(0..*all);
                u32::try_from(self.weights.partition_point(|weight| *weight <= drawn))?
            }
        };
        let distance = random.random_range(1..self.wallets);
        Ok((payer + 1, (payer + distance) % self.wallets + 1))
    }
}
