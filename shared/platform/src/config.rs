//! Typed configuration from the environment.
//!
//! A function reads everything it needs at start, and all problems are reported together: whoever deploys
//! mends a template once, not once per variable.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display};
use std::str::FromStr;

use futures::future::LocalBoxFuture;

/// What is read from the environment when a function starts: a client, the database, a use case that is made of them.
///
/// Most are made of others; [`from_environment!`](crate::from_environment) writes those.
pub trait FromEnvironment: Sized {
    /// Reads it, or notes every problem that it meets and gives `None`.
    fn read(environment: &mut Environment) -> Option<Self>;
}

/// Reads a struct field by field, so that all problems are noted before any of them ends the reading. A field is read by
/// its type, or by what stands behind it:
///
/// ```
/// # use platform::config::Environment;
/// # use platform::database::Database;
/// struct Deposits { database: Database, limit_cents: i64 }
///
/// platform::from_environment!(Deposits {
///     database,
///     limit_cents: |environment: &mut Environment| environment.required("DEPOSIT_LIMIT_CENTS"),
/// });
/// ```
#[macro_export]
macro_rules! from_environment {
    ($type:ident { $($field:ident $(: $reader:expr)?),+ $(,)? }) => {
        impl $crate::config::FromEnvironment for $type {
            fn read(environment: &mut $crate::config::Environment) -> Option<Self> {
                $(let $field = $crate::from_environment!(@read environment $(, $reader)?);)+
                Some(Self { $($field: $field?),+ })
            }
        }
    };
    (@read $environment:ident) => {
        $crate::config::FromEnvironment::read($environment)
    };
    (@read $environment:ident, $reader:expr) => {
        ($reader)($environment)
    };
}

/// Where nothing is needed.
impl FromEnvironment for () {
    fn read(_: &mut Environment) -> Option<()> {
        Some(())
    }
}

/// The environment of this process while a function reads its configuration.
pub struct Environment {
    variables: BTreeMap<String, String>,
    problems: Vec<String>,
    shared: HashMap<TypeId, Box<dyn Any>>,
    ahead: Vec<LocalBoxFuture<'static, ()>>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        formatter
            .debug_struct("Environment")
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
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
            shared: HashMap::new(),
            ahead: Vec::new(),
        }
    }

    /// What the first event will need, and needn't wait for: begun as soon as the function has its configuration, while it asks
    /// for the event. Whoever needs it waits for it there, and does it when it has failed.
    pub fn ahead(&mut self, work: impl Future<Output = ()> + 'static) {
        self.ahead.push(Box::pin(work));
    }

    /// All that can be done ahead.
    pub(crate) fn take_ahead(&mut self) -> Vec<LocalBoxFuture<'static, ()>> {
        std::mem::take(&mut self.ahead)
    }

    /// What there is once in an instance, whoever needs it: the database, a provider's client. It is made when it is read
    /// for the first time; the others get clones.
    pub fn shared<T: Clone + 'static>(&mut self, make: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let made = self.shared.get(&TypeId::of::<T>());
        if let Some(made) = made.and_then(|made| made.downcast_ref::<T>()) {
            return Some(made.clone());
        }
        let made = make(self)?;
        self.shared.insert(TypeId::of::<T>(), Box::new(made.clone()));
        Some(made)
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
            // A problem of what several need is noted by each of them.
            _ => {
                let mut seen = BTreeSet::new();
                let problems = self.problems.into_iter();
                Err(ConfigError {
                    problems: problems.filter(|problem| seen.insert(problem.clone())).collect(),
                })
            }
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

    #[derive(Debug, Clone)]
    struct Client(std::sync::Arc<String>);

    #[derive(Debug)]
    struct UseCase {
        first: Client,
        second: Client,
        limit: i64,
    }

    impl FromEnvironment for Client {
        fn read(environment: &mut Environment) -> Option<Self> {
            environment.shared(|environment| environment.required("BASE").map(std::sync::Arc::new).map(Self))
        }
    }

    crate::from_environment!(UseCase {
        first,
        second,
        limit: |environment: &mut Environment| environment.required("LIMIT"),
    });

    #[test]
    fn a_client_is_made_once_and_shared() {
        let variables = [("BASE", "https://example.com"), ("LIMIT", "5")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(variables);
        let use_case = UseCase::read(&mut environment);
        let use_case = environment.finish(use_case).unwrap();
        assert!(std::sync::Arc::ptr_eq(&use_case.first.0, &use_case.second.0));
        assert_eq!(use_case.limit, 5);
    }

    #[test]
    fn a_use_case_reports_the_problems_of_all_its_parts() {
        let mut environment = Environment::of([]);
        let use_case = UseCase::read(&mut environment);
        let error = environment.finish(use_case).unwrap_err();
        assert!(error.to_string().contains("BASE is not set"), "{error}");
        assert!(error.to_string().contains("LIMIT is not set"), "{error}");
    }

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
