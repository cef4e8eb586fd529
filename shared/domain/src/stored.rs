//! How the types of this crate are stored: as an integer or a text, checked when it is read back.
//!
//! With the feature `sqlx` a query gives and takes them directly (`SELECT status AS "status: _"`); a value that the type
//! doesn't allow is an error of that query.

/// Makes an enumeration whose variants have names: the same in the database, in JSON, in logs and in the API.
macro_rules! named_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_attribute])* $variant),+
        }

        impl $name {
            /// Every variant, in the order of their definition.
            pub const ALL: [$name; [$($text),+].len()] = [$($name::$variant),+];
            const NAMES: &'static [&'static str] = &[$($text),+];

            /// The name under which it is stored and shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text),+
                }
            }

            /// Reads a name.
            pub fn parse(name: &str) -> Option<$name> {
                match name {
                    $($text => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::stored::UnknownName;

            fn from_str(name: &str) -> Result<$name, $crate::stored::UnknownName> {
                $name::parse(name).ok_or($crate::stored::UnknownName { of: stringify!($name) })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let name = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                $name::parse(&name)
                    .ok_or_else(|| serde::de::Error::unknown_variant(&name, $name::NAMES))
            }
        }
    };
}

/// A name that no variant of the enumeration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the name of a {of}")]
pub struct UnknownName {
    /// The enumeration.
    pub of: &'static str,
}

/// A number that no variant of the enumeration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the number of a {of}")]
pub struct UnknownNumber {
    /// The enumeration.
    pub of: &'static str,
}

/// Stores a type as `$raw`: written by `$write`, read by `$read`, whose error says why a stored value isn't one.
#[cfg(feature = "sqlx")]
macro_rules! stored_as {
    ($type:ty, $raw:ty, $write:expr, $read:expr) => {
        impl sqlx::Type<sqlx::Postgres> for $type {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <$raw as sqlx::Type<sqlx::Postgres>>::type_info()
            }

            fn compatible(other: &sqlx::postgres::PgTypeInfo) -> bool {
                <$raw as sqlx::Type<sqlx::Postgres>>::compatible(other)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $type {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                <$raw as sqlx::postgres::PgHasArrayType>::array_type_info()
            }
        }

        impl sqlx::Encode<'_, sqlx::Postgres> for $type {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                let write: fn(&$type) -> $raw = $write;
                sqlx::Encode::<sqlx::Postgres>::encode_by_ref(&write(self), buffer)
            }
        }

        impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $type {
            fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<$type, sqlx::error::BoxDynError> {
                let raw = <$raw as sqlx::Decode<'r, sqlx::Postgres>>::decode(value)?;
                Ok(($read)(raw)?)
            }
        }
    };
}

/// Stores a type as its text.
#[cfg(feature = "sqlx")]
macro_rules! stored_as_text {
    ($type:ty) => {
        $crate::stored::stored_as!(
            $type,
            String,
            |value: &$type| value.to_string(),
            |raw: String| {
                // A CHAR column pads with spaces.
                raw.trim_end().parse::<$type>()
            }
        );
    };
}

#[cfg(not(feature = "sqlx"))]
macro_rules! stored_as {
    ($type:ty, $raw:ty, $write:expr, $read:expr) => {};
}

#[cfg(not(feature = "sqlx"))]
macro_rules! stored_as_text {
    ($type:ty) => {};
}

pub(crate) use {named_enum, stored_as, stored_as_text};

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "the macro makes public types; this one stays in the test"
)]
mod tests {
    use super::UnknownName;

    named_enum! {
        /// A light.
        pub enum Light {
            /// Go.
            Green = "green",
            /// Stop.
            DeepRed = "deep_red",
        }
    }

    #[test]
    fn a_named_enum_has_one_name_everywhere() {
        assert_eq!(Light::ALL, [Light::Green, Light::DeepRed]);
        for light in Light::ALL {
            assert_eq!(light.name().parse(), Ok(light));
            assert_eq!(light.to_string(), light.name());
            let json = serde_json::to_string(&light).unwrap();
            assert_eq!(json, format!("\"{}\"", light.name()));
            assert_eq!(serde_json::from_str::<Light>(&json).unwrap(), light);
        }
        assert_eq!("blue".parse::<Light>(), Err(UnknownName { of: "Light" }));
        let error = serde_json::from_str::<Light>("\"blue\"").unwrap_err().to_string();
        assert!(
            error.contains("`green`") && error.contains("`deep_red`"),
            "{error}"
        );
    }
}
