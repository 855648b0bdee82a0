//! What is called.

/// A method as its path names it: `/package.Service/Method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RpcMethod<'a> {
    path: &'a str,
}

impl<'a> RpcMethod<'a> {
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self { path: uri.path().strip_prefix('/').unwrap_or(uri.path()) }
    }

    /// `package.Service/Method`, if the path is of that form.
    pub(crate) fn full(self) -> Option<&'a str> {
        let (service, method) = self.path.split_once('/')?;
        (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read_from_paths() {
        for (path, full) in [
            ("/shop.Orders/Place", Some("shop.Orders/Place")),
            ("/shop.Orders", None),
            ("/", None),
            ("/a/b/c", None),
            ("//Place", None),
        ] {
            let uri: http::Uri = http::Uri::builder().path_and_query(path).build().unwrap();
            assert_eq!(RpcMethod::of(&uri).full(), full, "{path}");
        }
    }
}
