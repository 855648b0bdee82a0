use super::{DuplicateParent, Extract, FieldName, NameFilter};
use crate::{TraceContext, Value};

/// A carrier that looks up only the names which its filter lets through.
pub(crate) struct FilteredCarrier<'c> {
    from: &'c dyn Extract,
    filter: NameFilter,
}

impl<'c> FilteredCarrier<'c> {
    pub(crate) fn new(from: &'c dyn Extract) -> Self {
        Self { from, filter: from.name_filter() }
    }
}

impl Extract for FilteredCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        if self.filter.might_contain(name) {
            self.from.visit(name, each);
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.from.visit_all(each);
    }

    fn name_filter(&self) -> NameFilter {
        self.filter
    }

    fn duplicate_parent(&self) -> DuplicateParent {
        self.from.duplicate_parent()
    }

    fn root_trace(&self) -> Option<TraceContext> {
        self.from.root_trace()
    }
}
