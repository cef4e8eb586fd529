//! How much a document may ask for. AppSync limits the depth and the number of resolvers; here a document is also refused
//! that unfolds to more fields than anybody could mean.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
};

/// The most fields that a document may have, its fragments unfolded.
const MAX_FIELDS: usize = 10_000;

/// The most levels of a question about the schema itself; the usual one has 13.
const MAX_SCHEMA_DEPTH: usize = 20;

/// The limits of an API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most levels of fields.
    pub(super) depth: usize,
    /// The most fields of the root, each of which is a function that is called.
    pub(super) resolvers: usize,
    /// Whether a document may ask about the schema.
    pub(super) introspection: bool,
}

/// Which limit a document passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Depth(usize),
    Resolvers(usize),
    Introspection,
    Fields,
}

impl Exceeded {
    /// Its `errorType`.
    pub(super) fn error_type(self) -> &'static str {
        match self {
            Self::Depth(_) => "QueryDepthLimitReached",
            Self::Resolvers(_) => "ResolverExecutionLimitReached",
            Self::Introspection => "IntrospectionDisabled",
            Self::Fields => "RequestTooLarge",
        }
    }

    /// What is said of it.
    pub(super) fn message(self) -> String {
        match self {
            Self::Depth(depth) => format!("The document is more than {depth} levels deep."),
            Self::Resolvers(count) => {
                format!("The document has more than {count} fields of Query or Mutation.")
            }
            Self::Introspection => "The API doesn't tell its schema.".to_owned(),
            Self::Fields => format!("The document has more than {MAX_FIELDS} fields."),
        }
    }
}

/// Checks every operation of a document. Questions about the schema itself have a depth of their own.
pub(super) fn check(document: &ExecutableDocument, limits: Limits) -> Result<(), Exceeded> {
    for (_, operation) in document.operations.iter() {
        check_operation(&operation.node, &document.fragments, limits)?;
    }
    Ok(())
}

fn check_operation(
    operation: &OperationDefinition,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    limits: Limits,
) -> Result<(), Exceeded> {
    let mut walk = Walk {
        fragments,
        limits,
        fields: 0,
        resolvers: 0,
    };
    walk.selection(&operation.selection_set.node, Place::default())
}

/// Where a selection stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Levels of fields above it.
    depth: usize,
    /// Fragments within each other above it; a fragment within itself is found by the validation, later.
    fragments: usize,
    /// Whether it asks about the schema.
    of_schema: bool,
}

struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    limits: Limits,
    fields: usize,
    resolvers: usize,
}

impl Walk<'_> {
    fn selection(&mut self, selection: &SelectionSet, place: Place) -> Result<(), Exceeded> {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    if !self.limits.introspection && ["__schema", "__type"].contains(&name) {
                        return Err(Exceeded::Introspection);
                    }
                    let of_schema = place.of_schema || name.starts_with("__");
                    self.count(place.depth == 0 && !of_schema)?;
                    let below = Place {
                        depth: place.depth.saturating_add(1),
                        of_schema,
                        ..place
                    };
                    let max = if of_schema {
                        MAX_SCHEMA_DEPTH
                    } else {
                        self.limits.depth
                    };
                    if below.depth > max {
                        return Err(Exceeded::Depth(max));
                    }
                    self.selection(&field.node.selection_set.node, below)?;
                }
                Selection::InlineFragment(fragment) => {
                    self.fragment(&fragment.node.selection_set.node, place)?;
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.fragment(&fragment.node.selection_set.node, place)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn fragment(&mut self, selection: &SelectionSet, place: Place) -> Result<(), Exceeded> {
        let within = Place {
            fragments: place.fragments.saturating_add(1),
            ..place
        };
        // Deeper than any document without a circle: the validation names the circle.
        if within.fragments
            > self
                .fragments
                .len()
                .saturating_add(self.limits.depth)
                .saturating_mul(2)
        {
            return Ok(());
        }
        // A fragment counts like a field, or circles side by side would go on for ever.
        self.count(false)?;
        self.selection(selection, within)
    }

    fn count(&mut self, is_resolver: bool) -> Result<(), Exceeded> {
        self.fields = self.fields.saturating_add(1);
        self.resolvers = self.resolvers.saturating_add(usize::from(is_resolver));
        if self.resolvers > self.limits.resolvers {
            return Err(Exceeded::Resolvers(self.limits.resolvers));
        }
        if self.fields > MAX_FIELDS {
            return Err(Exceeded::Fields);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(query: &str) -> Result<(), Exceeded> {
        let limits = Limits {
            depth: 3,
            resolvers: 2,
            introspection: true,
        };
        check(&parse_query(query).unwrap(), limits)
    }

    #[test]
    fn a_document_within_the_limits_passes() {
        assert_eq!(checked("{ a { b { c } } d }"), Ok(()));
        assert_eq!(
            checked("{ a __typename } fragment F on Query { a b c d }"),
            Ok(())
        );
    }

    #[test]
    fn depth_counts_through_fragments() {
        assert_eq!(checked("{ a { b { c { d } } } }"), Err(Exceeded::Depth(3)));
        let query = "{ a { ...F } } fragment F on A { b { ... on C { c { d } } } }";
        assert_eq!(checked(query), Err(Exceeded::Depth(3)));
    }

    #[test]
    fn the_schema_may_be_asked_about_in_depth() {
        assert_eq!(
            checked("{ __schema { types { fields { type { ofType { name } } } } } }"),
            Ok(())
        );
    }

    #[test]
    fn questions_about_the_schema_can_be_switched_off() {
        let limits = Limits {
            depth: 3,
            resolvers: 2,
            introspection: false,
        };
        let checked = |query: &str| check(&parse_query(query).unwrap(), limits);
        assert_eq!(checked("{ a { __typename } }"), Ok(()));
        assert_eq!(
            checked("{ __type(name: \"A\") { name } }"),
            Err(Exceeded::Introspection)
        );
        let query = "{ ...F } fragment F on Query { s: __schema { types { name } } }";
        assert_eq!(checked(query), Err(Exceeded::Introspection));
    }

    #[test]
    fn aliases_and_fragments_count_as_resolvers() {
        assert_eq!(checked("{ x: a y: a z: a }"), Err(Exceeded::Resolvers(2)));
        let query = "{ ...F ...F } fragment F on Query { x: a y: a }";
        assert_eq!(checked(query), Err(Exceeded::Resolvers(2)));
    }

    #[test]
    fn fragments_that_multiply_are_stopped() {
        let fragments: String = (0..40)
            .map(|index| {
                format!(
                    "fragment F{index} on A {{ ...F{next} ...F{next} }} ",
                    next = index + 1
                )
            })
            .collect();
        let query = format!("{{ a {{ ...F0 }} }} {fragments} fragment F40 on A {{ b }}");
        assert_eq!(checked(&query), Err(Exceeded::Fields));
    }

    #[test]
    fn a_circle_of_fragments_ends() {
        let query = "{ a { ...F } } fragment F on A { ...G ...G } fragment G on A { ...F ...F }";
        assert!(matches!(checked(query), Ok(()) | Err(Exceeded::Fields)));
    }
}
