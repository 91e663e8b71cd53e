//! The trace header and its lineage, by which Lambda detects recursive loops
//! (docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html). Each invocation counts one for its function, the
//! SDK sends the header on with every call, SQS keeps it with each message of the call
//! (docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html), and a message that comes from too many
//! invocations of a function does not invoke it again.

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::now_millis;
use crate::function::Kind;
use crate::sqs::Received;

/// Invocations of one function in one chain of requests; Lambda's guide gives this number as approximate.
pub const MOST_INVOCATIONS: u32 = 16;

/// The content of a trace header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    root: String,
    /// By function, how often the chain has invoked it.
    invocations: BTreeMap<String, u32>,
}

impl Default for Trace {
    /// A chain that begins here.
    fn default() -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let root = format!("1-{:08x}-{}", now_millis() / 1000, &random[..24]);
        Self { root, invocations: BTreeMap::new() }
    }
}

impl Trace {
    /// Reads a header; one without a root begins a chain.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let fields = header.split(';').filter_map(|field| field.split_once('='));
        let mut trace = Self::default();
        for (name, value) in fields {
            match name {
                "Root" => value.clone_into(&mut trace.root),
                "Lineage" => {
                    let counts = value.split('|').filter_map(|entry| entry.split_once(':'));
                    let counts =
                        counts.filter_map(|(kind, count)| Some((kind.to_owned(), count.parse().ok()?)));
                    trace.invocations = counts.collect();
                }
                _ => {}
            }
        }
        trace
    }

    /// The chain that a message is part of.
    #[must_use]
    pub fn of(message: &Received) -> Self {
        message.trace.as_deref().map(Self::parse).unwrap_or_default()
    }

    /// How often the chain has invoked a function.
    #[must_use]
    pub fn invocations(&self, kind: Kind) -> u32 {
        self.invocations.get(&kind.to_string()).copied().unwrap_or(0)
    }

    /// The chain that an invocation of a function hands on.
    #[must_use]
    pub fn invoking(&self, kind: Kind) -> Self {
        let mut next = self.clone();
        *next.invocations.entry(kind.to_string()).or_default() += 1;
        next
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = uuid::Uuid::new_v4().simple().to_string();
        let counts: Vec<String> =
            self.invocations.iter().map(|(kind, count)| format!("{kind}:{count}")).collect();
        write!(f, "Root={};Parent={};Sampled=0;Lineage={}", self.root, &parent[..16], counts.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_keeps_its_root_and_counts_each_function_by_itself() {
        let api = Trace::default().invoking(Kind::Api);
        let twice = Trace::parse(&api.invoking(Kind::Delivery).to_string()).invoking(Kind::Delivery);
        assert_eq!((twice.invocations(Kind::Api), twice.invocations(Kind::Delivery)), (1, 2));
        assert_eq!(twice.root, api.root);
    }

    #[test]
    fn a_header_without_lineage_begins_a_chain() {
        for header in
            ["", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "Lineage=x"]
        {
            assert_eq!(Trace::parse(header).invocations(Kind::Delivery), 0, "{header}");
        }
    }
}
