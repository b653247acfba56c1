//! A condition on the labels of a session (Centrifugo's `FilterNode`): checked once, then asked of
//! any number of sessions.

mod decimal;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::Write;
use std::sync::Arc;

use decimal::Decimal;

/// A condition that makes sense. Cloning one is cheap and allocates nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(Arc<Node>);

/// How large a filter may be: whoever writes one makes every session answer it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilterLimits {
    /// Nodes in nodes, the outermost counted; one more is an error.
    pub depth_max: usize,
    /// Nodes together; one more is an error.
    pub nodes_max: usize,
}

impl Default for FilterLimits {
    /// What the configuration says when it says nothing.
    fn default() -> Self {
        Self { depth_max: 8, nodes_max: 128 }
    }
}

/// One node as somebody wrote it: a text that is not there is empty.
#[derive(Debug)]
pub struct FilterFields<'a, N> {
    /// Empty for a comparison, else `and`, `or` or `not`.
    pub op: &'a str,
    /// The label compared.
    pub key: &'a str,
    /// How it is compared.
    pub cmp: &'a str,
    /// What it is compared with.
    pub val: &'a str,
    /// What it is compared with, for `in` and `nin`.
    pub vals: Vec<&'a str>,
    /// What is combined.
    pub nodes: Vec<N>,
}

/// A field whose value is of a type that cannot be read.
#[derive(Debug)]
pub struct WrongField {
    /// Its name; empty for the node itself.
    pub name: &'static str,
    /// What was expected and what is there.
    pub why: String,
}

/// Why a filter makes no sense. Its text begins with the place below the filter, as in
/// `.nodes[1].cmp: …`.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct FilterError {
    place: String,
    fault: Fault,
}

#[derive(PartialEq, Eq, Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Mistyped(String),
    #[error("expected \"and\", \"or\", \"not\" or none at all, got {0:?}")]
    UnknownOp(String),
    #[error("expected one of {known}, got {got:?}", known = COMPARISONS.join(", "))]
    UnknownComparison { got: String },
    #[error("\"{0}\" needs the name of a label")]
    NoKey(String),
    #[error("\"{0}\" needs a text that is not empty")]
    NoVal(String),
    #[error("\"{0}\" needs a list of at least one text")]
    NoVals(String),
    #[error("\"{cmp}\" takes none, only {takes}")]
    Superfluous { cmp: String, takes: &'static str },
    #[error("a comparison combines nothing, set \"op\" to combine")]
    NodesOfComparison,
    #[error("\"{0}\" combines what is in \"nodes\" and compares nothing itself")]
    ComparisonOfNodes(String),
    #[error("\"{0}\" needs at least one node")]
    NoNodes(String),
    #[error("\"not\" needs exactly one node, got {0}")]
    NotOne(usize),
    #[error("more than {0} nodes in each other (label_filter.max_depth)")]
    TooDeep(usize),
    #[error("more than {0} nodes in one filter (label_filter.max_nodes)")]
    TooMany(usize),
}

/// Every comparison by its name.
const COMPARISONS: [&str; 13] =
    ["eq", "neq", "in", "nin", "ex", "nex", "sw", "ew", "ct", "gt", "gte", "lt", "lte"];

/// Characters of an unknown word that are told back.
const ECHO_CHARS: usize = 40;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Compare(Comparison),
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Not(Box<Self>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Comparison {
    pub(super) key: Box<str>,
    pub(super) test: Test,
}

/// What is asked of a label; each says what a session without the label answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Test {
    /// `eq`; without the label: no.
    Is(Box<str>),
    /// `neq`; without the label: yes.
    IsNot(Box<str>),
    /// `in`, sorted; without the label: as if it were empty.
    In(Box<[Box<str>]>),
    /// `nin`, sorted; without the label: as if it were empty.
    NotIn(Box<[Box<str>]>),
    /// `ex`
    Exists,
    /// `nex`
    Missing,
    /// `sw`; without the label: no.
    StartsWith(Box<str>),
    /// `ew`; without the label: no.
    EndsWith(Box<str>),
    /// `ct`; without the label: no.
    Contains(Box<str>),
    /// `gt`, `gte`, `lt`, `lte`: both are decimal numbers; when one is not, and without the label: no.
    Number(Bound, Option<Decimal<Box<str>>>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Filter {
    /// Reads and checks a filter, top down: `fields` tells what stands in a node, and is asked about
    /// no node beyond the limits.
    ///
    /// # Errors
    /// The first thing that makes no sense, and where it stands.
    pub fn read<'a, N>(
        root: N,
        limits: FilterLimits,
        fields: impl FnMut(N) -> Result<FilterFields<'a, N>, WrongField>,
    ) -> Result<Self, FilterError> {
        let mut reader = Reader { fields, limits, nodes: 0, at: Vec::new() };
        Ok(Self(Arc::new(reader.node(root)?)))
    }

    /// Whether a session with these labels meets the condition. `label` looks one up.
    #[must_use]
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.matches(&label)
    }

    pub(super) fn root(&self) -> &Node {
        &self.0
    }
}

impl Node {
    /// Recursion no deeper than [`FilterLimits::depth_max`].
    fn matches<'l>(&self, label: &impl Fn(&str) -> Option<&'l str>) -> bool {
        match self {
            Self::Compare(Comparison { key, test }) => test.holds(label(key)),
            Self::All(nodes) => nodes.iter().all(|node| node.matches(label)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(label)),
            Self::Not(node) => !node.matches(label),
        }
    }
}

impl Test {
    /// Whether a label with this value, or its absence, passes.
    pub(super) fn holds(&self, value: Option<&str>) -> bool {
        let listed = |values: &[Box<str>]| {
            let value = value.unwrap_or_default();
            values.binary_search_by(|listed| (**listed).cmp(value)).is_ok()
        };
        match self {
            Self::Is(wanted) => value == Some(wanted),
            Self::IsNot(unwanted) => value != Some(unwanted),
            Self::In(values) => listed(values),
            Self::NotIn(values) => !listed(values),
            Self::Exists => value.is_some(),
            Self::Missing => value.is_none(),
            Self::StartsWith(start) => value.is_some_and(|value| value.starts_with(&**start)),
            Self::EndsWith(end) => value.is_some_and(|value| value.ends_with(&**end)),
            Self::Contains(part) => value.is_some_and(|value| value.contains(&**part)),
            Self::Number(bound, than) => {
                let value = value.and_then(Decimal::parse);
                let ordering = value.zip(than.as_ref()).map(|(value, than)| value.compare(than));
                ordering.is_some_and(|ordering| bound.admits(ordering))
            }
        }
    }
}

impl Bound {
    const fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Above => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
            Self::Below => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
        }
    }
}

struct Reader<F> {
    fields: F,
    limits: FilterLimits,
    /// Nodes so far.
    nodes: usize,
    /// The way from the root to the node being read.
    at: Vec<usize>,
}

impl<F> Reader<F> {
    /// Recursion no deeper than the limit.
    fn node<'a, N>(&mut self, node: N) -> Result<Node, FilterError>
    where
        F: FnMut(N) -> Result<FilterFields<'a, N>, WrongField>,
    {
        let FilterLimits { depth_max, nodes_max } = self.limits;
        if self.at.len() == depth_max {
            return Err(self.fault("", Fault::TooDeep(depth_max)));
        }
        if self.nodes == nodes_max {
            return Err(self.fault("", Fault::TooMany(nodes_max)));
        }
        self.nodes += 1;
        let fields = (self.fields)(node)
            .map_err(|WrongField { name, why }| self.fault(name, Fault::Mistyped(why)))?;
        match fields.op {
            "" => self.comparison(fields).map(Node::Compare),
            "and" => self.children(fields).map(Node::All),
            "or" => self.children(fields).map(Node::Any),
            "not" => {
                let nodes = self.children(fields)?;
                let one: Result<[Node; 1], _> = nodes.into_vec().try_into();
                let [node] =
                    one.map_err(|nodes| self.fault("nodes", Fault::NotOne(nodes.len())))?;
                Ok(Node::Not(Box::new(node)))
            }
            op => Err(self.fault("op", Fault::UnknownOp(echo(op)))),
        }
    }

    fn children<'a, N>(&mut self, fields: FilterFields<'a, N>) -> Result<Box<[Node]>, FilterError>
    where
        F: FnMut(N) -> Result<FilterFields<'a, N>, WrongField>,
    {
        let FilterFields { op, key, cmp, val, vals, nodes } = fields;
        let fields = [
            ("key", key.is_empty()),
            ("cmp", cmp.is_empty()),
            ("val", val.is_empty()),
            ("vals", vals.is_empty()),
        ];
        if let Some((name, _)) = fields.iter().find(|(_, is_empty)| !is_empty) {
            return Err(self.fault(name, Fault::ComparisonOfNodes(op.to_owned())));
        }
        if nodes.is_empty() {
            return Err(self.fault("nodes", Fault::NoNodes(op.to_owned())));
        }
        let mut read = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            self.at.push(index);
            read.push(self.node(node)?);
            self.at.pop();
        }
        Ok(read.into())
    }

    fn comparison<N>(&self, fields: FilterFields<'_, N>) -> Result<Comparison, FilterError> {
        let FilterFields { key, cmp, val, vals, nodes, .. } = fields;
        let takes = match cmp {
            "ex" | "nex" => Takes::Nothing,
            "in" | "nin" => Takes::Vals,
            cmp if COMPARISONS.contains(&cmp) => Takes::Val,
            cmp => return Err(self.fault("cmp", Fault::UnknownComparison { got: echo(cmp) })),
        };
        let owned = cmp.to_owned();
        let superfluous = |takes| Fault::Superfluous { cmp: cmp.to_owned(), takes };
        let fault = match takes {
            _ if !nodes.is_empty() => Some(("nodes", Fault::NodesOfComparison)),
            Takes::Vals | Takes::Val if key.is_empty() => Some(("key", Fault::NoKey(owned))),
            Takes::Nothing if !val.is_empty() => Some(("val", superfluous("\"key\""))),
            Takes::Nothing if !vals.is_empty() => Some(("vals", superfluous("\"key\""))),
            Takes::Vals if !val.is_empty() => Some(("val", superfluous("\"vals\""))),
            Takes::Vals if vals.is_empty() => Some(("vals", Fault::NoVals(owned))),
            Takes::Val if !vals.is_empty() => Some(("vals", superfluous("\"val\""))),
            Takes::Val if val.is_empty() => Some(("val", Fault::NoVal(owned))),
            Takes::Nothing | Takes::Vals | Takes::Val => None,
        };
        if let Some((name, fault)) = fault {
            return Err(self.fault(name, fault));
        }
        Ok(Comparison { key: key.into(), test: test(cmp, val, &vals) })
    }

    fn fault(&self, name: &str, fault: Fault) -> FilterError {
        let mut place = String::new();
        for index in &self.at {
            write!(place, ".nodes[{index}]").expect("memory takes everything");
        }
        if !name.is_empty() {
            place.push('.');
            place.push_str(name);
        }
        FilterError { place, fault }
    }
}

/// What a comparison takes beside the key.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Val,
    Vals,
}

/// The test of a comparison that is known to have what it takes.
fn test(cmp: &str, val: &str, vals: &[&str]) -> Test {
    let sorted = || {
        let mut sorted: Vec<Box<str>> = vals.iter().map(|val| (*val).into()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.into_boxed_slice()
    };
    let number = |bound| Test::Number(bound, Decimal::parse(val).map(|than| than.boxed()));
    match cmp {
        "eq" => Test::Is(val.into()),
        "neq" => Test::IsNot(val.into()),
        "in" => Test::In(sorted()),
        "nin" => Test::NotIn(sorted()),
        "ex" => Test::Exists,
        "nex" => Test::Missing,
        "sw" => Test::StartsWith(val.into()),
        "ew" => Test::EndsWith(val.into()),
        "ct" => Test::Contains(val.into()),
        "gt" => number(Bound::Above),
        "gte" => number(Bound::AtLeast),
        "lt" => number(Bound::Below),
        "lte" => number(Bound::AtMost),
        _ => unreachable!("a comparison of the table"),
    }
}

fn echo(word: &str) -> String {
    word.chars().take(ECHO_CHARS).collect()
}
