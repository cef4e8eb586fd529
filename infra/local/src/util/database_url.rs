//! The address of a database, and as what it may be shown.

/// The variable of the database's address.
pub(crate) const DATABASE_URL: &str = "DATABASE_URL";

/// The URL of a database as everybody may see it.
pub(crate) fn without_password(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (credentials, place) = rest.split_once('@')?;
        let (user, _) = credentials.split_once(':')?;
        Some((scheme, user, place))
    });
    parts.map_or_else(
        || url.to_owned(),
        |(scheme, user, place)| format!("{scheme}://{user}@{place}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_its_password() {
        for (url, shown) in [
            (
                "postgres://moneta:secret@127.0.0.1:9402/moneta",
                "postgres://moneta@127.0.0.1:9402/moneta",
            ),
            (
                "postgres://moneta@localhost/moneta",
                "postgres://moneta@localhost/moneta",
            ),
            ("postgres://localhost/moneta", "postgres://localhost/moneta"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
