//! The template's routes, chosen as API Gateway does: a fixed path before one with parameters, a greedy one last, and a
//! route for the method before one for ANY.

use std::collections::BTreeMap;

use axum::http::Method;

use crate::template::{Event, HttpRoute, Template};

/// A route and its function.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) function: String,
    pub(super) definition: HttpRoute,
    segments: Vec<Segment>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Fixed(String),
    Parameter(String),
    /// `{name+}`: the rest of the path.
    Rest(String),
}

/// A route that a request takes.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) route: &'a Route,
    pub(super) parameters: BTreeMap<String, String>,
}

pub(super) struct Routes {
    all: Vec<Route>,
}

impl Routes {
    pub(super) fn new(template: &Template) -> Self {
        let mut all = Vec::new();
        for function in &template.functions {
            for event in &function.events {
                if let Event::Http(route) = event {
                    let segments = route.path.split('/').skip(1).map(segment).collect();
                    all.push(Route {
                        function: function.binary.clone(),
                        definition: route.clone(),
                        segments,
                    });
                }
            }
        }
        // The first that fits is the one to take.
        all.sort_by_key(rank);
        Self { all }
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Option<Found<'_>> {
        let path: Vec<&str> = path.split('/').skip(1).collect();
        self.all.iter().find_map(|route| {
            let wanted = route.definition.method.as_str();
            if wanted != "ANY" && wanted != method.as_str() {
                return None;
            }
            parameters(&route.segments, &path).map(|parameters| Found { route, parameters })
        })
    }
}

/// Kinds of segments in order of preference, then ANY after a method.
fn rank(route: &Route) -> (Vec<u8>, bool) {
    let kinds = route.segments.iter().map(|segment| match segment {
        Segment::Fixed(_) => 0,
        Segment::Parameter(_) => 1,
        Segment::Rest(_) => 2,
    });
    (kinds.collect(), route.definition.method == "ANY")
}

fn segment(text: &str) -> Segment {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        None => Segment::Fixed(text.to_owned()),
        Some(name) => match name.strip_suffix('+') {
            Some(name) => Segment::Rest(name.to_owned()),
            None => Segment::Parameter(name.to_owned()),
        },
    }
}

fn parameters(segments: &[Segment], path: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let mut path = path.iter();
    for segment in segments {
        match segment {
            Segment::Fixed(text) => {
                if decode(path.next()?) != *text {
                    return None;
                }
            }
            Segment::Parameter(name) => {
                let value = decode(path.next()?);
                if value.is_empty() {
                    return None;
                }
                parameters.insert(name.clone(), value);
            }
            Segment::Rest(name) => {
                let rest = path.by_ref().copied().collect::<Vec<_>>().join("/");
                if rest.is_empty() {
                    return None;
                }
                parameters.insert(name.clone(), decode(&rest));
            }
        }
    }
    path.next().is_none().then_some(parameters)
}

/// Decodes `%20` and its like; a plus sign stands for itself in a path.
pub(super) fn decode(text: &str) -> String {
    let form = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    let decoded: Option<Vec<(String, String)>> = serde_urlencoded::from_str(&form).ok();
    decoded
        .and_then(|pairs| pairs.into_iter().next())
        .map_or_else(|| text.to_owned(), |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Function;

    fn routes(routes: &[(&str, &str, &str)]) -> Routes {
        let function = |(name, method, path): &(&str, &str, &str)| Function {
            logical_id: (*name).to_owned(),
            binary: (*name).to_owned(),
            timeout: std::time::Duration::ZERO,
            memory_mb: 128,
            reserved_concurrency: None,
            environment: BTreeMap::new(),
            events: vec![Event::Http(HttpRoute {
                method: (*method).to_owned(),
                path: (*path).to_owned(),
                authorized: true,
                scopes: Vec::new(),
            })],
        };
        Routes::new(&Template {
            functions: routes.iter().map(function).collect(),
            ..Template::default()
        })
    }

    #[test]
    fn the_closest_route_is_taken() {
        let routes = routes(&[
            ("rest", "GET", "/orders/{path+}"),
            ("one", "GET", "/orders/{id}"),
            ("newest", "GET", "/orders/newest"),
            ("any", "ANY", "/orders/{id}"),
            ("lines", "GET", "/orders/{id}/lines/{line}"),
        ]);
        let find = |method: Method, path: &str| {
            routes
                .find(&method, path)
                .map(|found| (found.route.function.clone(), found.parameters))
        };
        let taken = |method, path| find(method, path).map(|(function, _)| function);
        assert_eq!(taken(Method::GET, "/orders/newest").as_deref(), Some("newest"));
        assert_eq!(taken(Method::GET, "/orders/7").as_deref(), Some("one"));
        assert_eq!(taken(Method::DELETE, "/orders/7").as_deref(), Some("any"));
        assert_eq!(taken(Method::GET, "/orders/7/parts").as_deref(), Some("rest"));
        assert_eq!(taken(Method::GET, "/orders"), None);
        assert_eq!(taken(Method::GET, "/orders/"), None);
        assert_eq!(taken(Method::POST, "/orders/7/parts"), None);
        let (_, parameters) = find(Method::GET, "/orders/a%20b+c/lines/2").unwrap();
        let expected =
            [("id", "a b+c"), ("line", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parameters, expected.into());
    }
}
