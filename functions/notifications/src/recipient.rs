//! Who gets a notification.

use std::fmt;

use domain::ids::{ProfileId, UserId};

/// A profile, with its feed, phones and mailbox; or a trader who has none, and is mailed only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// A profile.
    Profile(ProfileId),
    /// A trader without a profile.
    Trader(UserId),
}

impl Recipient {
    /// The profile, where it is one.
    pub const fn profile(self) -> Option<ProfileId> {
        match self {
            Self::Profile(profile) => Some(profile),
            Self::Trader(_) => None,
        }
    }

    /// The trader, where it is one without a profile.
    pub const fn trader(self) -> Option<UserId> {
        match self {
            Self::Profile(_) => None,
            Self::Trader(user) => Some(user),
        }
    }

    /// The recipient of a partition of the table.
    pub(crate) fn of_partition(partition: &str) -> Option<Self> {
        let (kind, id) = partition.split_once('#')?;
        match kind {
            "profile" => id.parse().ok().map(Self::Profile),
            "trader" => id.parse().ok().map(Self::Trader),
            _ => None,
        }
    }
}

impl From<ProfileId> for Recipient {
    fn from(profile: ProfileId) -> Self {
        Self::Profile(profile)
    }
}

/// The partition of the table with what is the recipient's.
impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(profile) => write!(formatter, "profile#{profile}"),
            Self::Trader(user) => write!(formatter, "trader#{user}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_found_by_its_partition() {
        let (profile, user) = (ProfileId::new(7).unwrap(), UserId::new(7).unwrap());
        for recipient in [Recipient::Profile(profile), Recipient::Trader(user)] {
            assert_eq!(Recipient::of_partition(&recipient.to_string()), Some(recipient));
        }
        assert_ne!(
            Recipient::Profile(profile).to_string(),
            Recipient::Trader(user).to_string()
        );
        for other in ["profile#0", "trader#x", "trader", "device#7", ""] {
            assert_eq!(Recipient::of_partition(other), None, "{other}");
        }
    }
}
