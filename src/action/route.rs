//! The routes of actions: paths with parameters.
//!
//! Whether a route is free, and a path at all, is not looked at.

/// A path whose segments are fixed or parameters: `/buy/{item}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    text: String,
    /// The index of each parameter's segment, and its name.
    parameters: Vec<(usize, String)>,
}

impl Route {
    /// Reads a path; says what is wrong with its parameters. Whether the rest of it is a path is not looked at.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parameters: Vec<(usize, String)> = Vec::new();
        for (index, segment) in text.split('/').enumerate() {
            let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                if segment.contains(['{', '}']) {
                    return Err(format!(
                        "a parameter takes a whole segment, as in /buy/{{item}}, and `{segment}` does not"
                    ));
                }
                continue;
            };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(format!("`{segment}` names no parameter; a name is made of letters, digits and `_`"));
            }
            if parameters.iter().any(|(_, other)| other == name) {
                return Err(format!("the parameter `{name}` stands twice"));
            }
            if index == 1 {
                return Err(format!(
                    "the first segment cannot be a parameter, and `{segment}` is; begin with a fixed one"
                ));
            }
            parameters.push((index, name.to_owned()));
        }
        Ok(Route { text: text.to_owned(), parameters })
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path with its parameters named by their place, so that two routes of one shape are equal.
    pub fn shape(&self) -> String {
        let segment = |(index, segment): (usize, &str)| match self.parameters.iter().any(|(at, _)| *at == index) {
            true => format!("{{p{index}}}"),
            false => segment.to_owned(),
        };
        self.text.split('/').enumerate().map(segment).collect::<Vec<_>>().join("/")
    }

    /// Whether the route has a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(_, known)| known == name)
    }

    /// The segment of `path`, which has this route's shape, that stands for the parameter `name`; not decoded.
    pub fn find<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let (index, _) = self.parameters.iter().find(|(_, known)| known == name)?;
        path.split('/').nth(*index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_know_their_parameters() {
        let route = Route::parse("/buy/{item}/for/{price}").unwrap();
        assert_eq!(route.shape(), Route::parse("/buy/{a}/for/{b}").unwrap().shape());
        assert_eq!(route.find("/buy/a%20b/for/5", "price"), Some("5"));
        assert_eq!((route.has("item"), route.has("user")), (true, false));
        for text in ["/{item}", "/buy/x{item}", "/buy/{}", "/buy/{a b}", "/b/{a}/{a}", "/b/{*a}", "/b/{a"] {
            assert!(Route::parse(text).is_err(), "{text}");
        }
    }
}
