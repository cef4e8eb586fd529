//! Typed configuration from the environment.
//!
//! A function reads everything it needs at start, and all problems are reported together: whoever deploys
//! mends a template once, not once per variable.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

/// The environment of this process while a function reads its configuration.
#[derive(Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self::of(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    /// An environment of the given variables, for tests.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            problems: Vec::new(),
        }
    }

    /// The variable `name`, which has to be there and not empty.
    pub fn required<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.text(name) {
            Some(text) => self.parse(name, &text),
            None => {
                self.problem(format!("{name} is not set"));
                None
            }
        }
    }

    /// The variable `name` where it is set and not empty.
    pub fn optional<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(name)?;
        self.parse(name, &text)
    }

    /// The variables whose names begin and end like this, by what stands between.
    pub fn between(&self, start: &str, end: &str) -> BTreeMap<String, String> {
        let middle = |name: &String| Some(name.strip_prefix(start)?.strip_suffix(end)?.to_owned());
        self.variables
            .keys()
            .filter_map(|name| Some((middle(name)?, self.text(name)?)))
            .collect()
    }

    /// Whether the variable is set and not empty.
    pub fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// Notes a problem that a caller found by itself.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The value that was read, or every problem met on the way.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(ConfigError {
                problems: self.problems,
            }),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    fn parse<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            // The value itself is left out: it may be a secret.
            Err(error) => {
                self.problem(format!("{name} can't be read: {error}"));
                None
            }
        }
    }
}

/// Everything that is wrong with the configuration of a function.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence per problem; each names the variable.
    pub problems: Vec<String>,
}

impl Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the configuration has {} problem(s): {}",
            self.problems.len(),
            self.problems.join("; ")
        )
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut environment = Environment::of([
            ("PORT".to_owned(), "many".to_owned()),
            ("EMPTY".to_owned(), " ".to_owned()),
        ]);
        let port: Option<u16> = environment.required("PORT");
        let name: Option<String> = environment.required("NAME");
        let empty: Option<String> = environment.required("EMPTY");
        assert!(port.is_none() && name.is_none() && empty.is_none());
        let error = environment.finish(Some(())).unwrap_err();
        assert_eq!(error.problems.len(), 3);
        assert!(error.to_string().contains("PORT can't be read"));
        assert!(error.to_string().contains("NAME is not set"));
        assert!(!error.to_string().contains("many"), "values may be secrets");
    }
}
