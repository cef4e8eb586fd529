//! Mail addresses.

/// Whether a text is an address: one `@`, something before it, and a host with a dot behind it; nothing but visible ASCII,
/// so that no letter only looks like another, and nothing that means something in a mail's header.
pub fn is_address(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte))
        && host.contains('.')
        && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_has_a_name_and_a_host_in_visible_ascii() {
        for address in ["ada@example.com", "a.b+c@mail.example.co", "o'neil@example.com"] {
            assert!(is_address(address), "{address}");
        }
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "ada@@example.com",
            "a b@example.com",
            "<ada@example.com>",
            "ada@exаmple.com",
            "ada@example..com",
            "ada@example.com\r\nBcc: bob@example.com",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
