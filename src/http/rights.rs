//! What each address requires, by the same matching of paths as the router has: the rights of the route table for whoever
//! judges a request before it is routed.
//!
//! It judges nothing.

use matchit::{InsertError, Router};

/// What somebody must be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Nothing: it tells nothing of documents.
    None,
    /// To send documents: into this stream, or into the one that the path names.
    Publish(Option<String>),
    /// To read documents, tables and what became of them.
    Read,
    /// To act for the people who run it.
    Operate,
}

/// The rights that the routes require.
pub struct Rights {
    /// By path, and then by the word of the method.
    paths: Router<Vec<(&'static str, Right)>>,
}

/// What one request requires.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Required<'r> {
    pub(super) right: &'r Right,
    /// The stream into which it is a way, as the configuration or the path names it; the path's is not decoded.
    pub(super) stream: Option<&'r str>,
}

impl Rights {
    /// Takes routes as the router has them: the word of the method, the pattern of the path, and the right.
    pub fn new(routes: impl Iterator<Item = (&'static str, String, Right)>) -> Result<Self, InsertError> {
        let mut by_path: Vec<(String, Vec<(&'static str, Right)>)> = Vec::new();
        for (method, path, right) in routes {
            match by_path.iter_mut().find(|(known, _)| *known == path) {
                Some((_, methods)) => methods.push((method, right)),
                None => by_path.push((path, vec![(method, right)])),
            }
        }
        let mut paths = Router::new();
        by_path.into_iter().try_for_each(|(path, methods)| paths.insert(path, methods))?;
        Ok(Rights { paths })
    }

    /// What `method` at `path` requires; none where no route is. `HEAD` requires what `GET` does.
    pub(super) fn of<'r>(&'r self, method: &str, path: &'r str) -> Option<Required<'r>> {
        let method = if method == "HEAD" { "GET" } else { method };
        let found = self.paths.at(path).ok()?;
        let (_, right) = found.value.iter().find(|(known, _)| *known == method)?;
        let stream = match right {
            Right::Publish(Some(stream)) => Some(stream.as_str()),
            Right::Publish(None) => found.params.iter().next().map(|(_, name)| name),
            _ => None,
        };
        Some(Required { right, stream })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_requires_what_its_route_does() {
        let (by_name, shop) = (Right::Publish(None), Right::Publish(Some("shop".into())));
        let rows = [
            ("GET", "/v1/streams/{stream}", Right::Read),
            ("POST", "/v1/streams/{stream}", by_name.clone()),
            ("POST", "/v1/letters/{id}/retry", Right::Operate),
            ("POST", "/v1/letters/retry", Right::Operate),
            ("GET", "/buy/{p2}", shop.clone()),
            ("GET", "/buy/sword", Right::None),
            ("POST", "/", shop.clone()),
        ];
        let rights =
            Rights::new(rows.into_iter().map(|(method, path, right)| (method, path.to_owned(), right))).unwrap();
        for (request, expected) in [
            ("GET /v1/streams/a", Some((Right::Read, None))),
            ("HEAD /v1/streams/a", Some((Right::Read, None))),
            ("POST /v1/streams/a", Some((by_name.clone(), Some("a")))),
            ("POST /v1/streams/%61", Some((by_name, Some("%61")))),
            ("PUT /v1/streams/a", None),
            ("POST /v1/streams/", None),
            ("POST /v1/streams/a/b", None),
            ("POST /v1/letters/retry", Some((Right::Operate, None))),
            ("POST /v1/letters/1/retry", Some((Right::Operate, None))),
            ("GET /buy/axe", Some((shop.clone(), Some("shop")))),
            ("HEAD /buy/axe", Some((shop.clone(), Some("shop")))),
            ("GET /buy/sword", Some((Right::None, None))),
            ("POST /buy/axe", None),
            ("POST /", Some((shop, Some("shop")))),
            ("GET /", None),
            ("GET *", None),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let found = rights.of(method, path).map(|required| (required.right.clone(), required.stream));
            assert_eq!(found, expected, "{request}");
        }
    }
}
