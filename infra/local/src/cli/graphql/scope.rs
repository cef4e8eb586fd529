//! What is decided by hand: which operations an app calls, and what is special about some.

/// The first words of the paths that apps call.
pub(super) const OF_APPS: [&str; 8] = [
    "billing",
    "funded-accounts",
    "notifications",
    "payout-account",
    "profile",
    "tiers",
    "trading",
    "withdrawals",
];

/// The first words of the other paths, and who calls them.
pub(super) const OF_OTHERS: [(&str, &str); 7] = [
    ("admin", "operators call it, not an app"),
    ("clients", "services that keep wallets call it, not an app"),
    ("dealers", "the dealers' own service calls it, not an app"),
    ("exchange-rates", "services that keep wallets call it, not an app"),
    ("profiles", "a service of the company's calls it, not an app"),
    ("transfers", "services that keep wallets call it, not an app"),
    ("webhooks", "an outside party calls it"),
];

/// Operations that apps call over HTTP alone.
pub(super) const OVER_HTTP: [(&str, &str); 1] = [(
    "add_kyc_document",
    "a document has up to 4 MB, and AppSync takes requests of 1 MB",
)];

/// Whole numbers of 64 bits that stay small enough for an Int.
pub(super) const SMALL: [&str; 1] = ["unread"];

/// What is special about a field.
#[derive(Debug)]
pub(super) struct Special {
    /// The operation.
    pub(super) operation: &'static str,
    /// Its arguments as (name, type, description), instead of those made of the request.
    pub(super) arguments: &'static [(&'static str, &'static str, &'static str)],
    /// The input type that they name, and how it stands in the schema.
    pub(super) inputs: (&'static str, &'static str),
    /// The arguments that are Float, of which a function gets the shortest decimal text.
    pub(super) decimals: &'static [&'static str],
    /// Where the answer stands beside `result`, and in a type of this name.
    pub(super) answer: (&'static str, &'static str),
}

/// The fields whose signature is given, because apps use it.
pub(super) const SPECIAL: [Special; 1] = [Special {
    operation: "reconfigure_ttf_holdings",
    arguments: &[
        (
            "profile_id",
            "Int!",
            "The caller's own profile; any other isn't there.",
        ),
        ("account_id", "Int!", "The trading account."),
        ("collection_id", "Int!", "The collection."),
        (
            "weights",
            "[TickerWeight]",
            "What it should consist of; an empty list is none given.",
        ),
        (
            "absolute_amount_delta_cents",
            "Int",
            "Cents to put in, above zero, or to take out, below zero.",
        ),
        (
            "relative_amount_delta_percent",
            "Int",
            "Percent of the cash to put in, above zero, or of what is held to take out, below zero.",
        ),
    ],
    inputs: (
        "TickerWeight",
        "# The part of a symbol in a collection.\ninput TickerWeight {\n  # The symbol.\n  symbol: String!\n  # Its part of the \
         whole, which is 1.\n  weight: Float!\n}\n",
    ),
    decimals: &["weight"],
    answer: ("version", "ReconfigureTtfHoldings"),
}];

/// What apps are told of as it happens.
#[derive(Debug)]
pub(super) struct Live {
    /// The subscription.
    pub(super) subscription: &'static str,
    /// The mutation whose answers it tells.
    pub(super) mutation: &'static str,
    /// The type of what is told.
    pub(super) kind: &'static str,
    /// The schema of the HTTP API that says what it has.
    pub(super) of: &'static str,
    pub(super) description: &'static str,
}

/// The updates; functions/notifications has the documents of their mutations.
pub(super) const LIVE: [Live; 2] = [
    Live {
        subscription: "money_flow_changed",
        mutation: "publish_money_flow_changed",
        kind: "MoneyFlowChanged",
        of: "MoneyFlowView",
        description: "A deposit or withdrawal of the caller's is another one than before. The newest `updated_at` counts: two \
                      changes may come in the other order, and one of them twice.",
    },
    Live {
        subscription: "notification_added",
        mutation: "publish_notification_added",
        kind: "NotificationAdded",
        of: "NotificationView",
        description: "A notification is new in the caller's feed. It may be told twice.",
    },
];

/// What is special about an operation's field.
pub(super) fn special(operation: &str) -> Option<&'static Special> {
    SPECIAL.iter().find(|special| special.operation == operation)
}

/// Why an operation has no field.
pub(super) fn left_out(operation: &str, first: &str, scopes: &[&str]) -> Option<String> {
    let of_others = OF_OTHERS.iter().find(|(word, _)| *word == first);
    let over_http = OVER_HTTP.iter().find(|(name, _)| *name == operation);
    if let Some((_, reason)) = over_http.or(of_others) {
        return Some((*reason).to_owned());
    }
    if scopes.is_empty() {
        return None;
    }
    Some(format!(
        "it asks for the scope {}, which no app's token has",
        scopes.join(" or ")
    ))
}
