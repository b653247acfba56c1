//! `info`: this node, and how much it holds.

use super::encode::Object;
use super::question::Merged;

/// What is true of the whole node, whichever shard says it.
#[derive(Clone, Copy, Debug)]
pub struct NodeFacts<'a> {
    /// Name of this run of the node.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The version it runs.
    pub version: &'a str,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Distinct users with sessions; all anonymous ones are one.
    pub users: u64,
    /// Counters, by dotted name.
    pub metrics: &'a [(&'a str, f64)],
}

/// Writes the result: one `NodeResult`, in the order of its field numbers (`api.proto`).
pub(super) fn write(facts: &NodeFacts<'_>, merged: &Merged, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"nodes\":[");
    let mut node = Object::open(out);
    node.text("uid", facts.uid);
    node.text("name", facts.name);
    node.text("version", facts.version);
    node.integer("num_clients", merged.matched());
    node.integer("num_users", facts.users);
    node.integer("num_channels", 0);
    if facts.uptime_s > 0 {
        node.integer("uptime", facts.uptime_s);
    }
    if !facts.metrics.is_empty() {
        let mut metrics = node.object("metrics");
        let mut items = metrics.object("items");
        for (name, value) in facts.metrics.iter().filter(|(_, value)| value.is_finite()) {
            items.float(name, *value);
        }
        items.close();
        metrics.close();
    }
    node.integer("num_subs", 0);
    node.close();
    out.push(b']');
    merged.write_partial(out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_numbers_by_name_and_what_is_no_number_is_left_out() {
        let metrics = [("a.b", 12.0), ("a.c", 0.5), ("a.d", f64::NAN)];
        let (uid, name, version) = ("u", "n", "v");
        let facts = NodeFacts { uid, name, version, uptime_s: 0, users: 0, metrics: &metrics };
        let mut out = Vec::new();
        write(&facts, &Merged::default(), &mut out);
        let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let node = &out["nodes"][0];
        assert_eq!(node["metrics"], serde_json::json!({"items": {"a.b": 12, "a.c": 0.5}}));
        assert_eq!(node.get("uptime"), None);
    }
}
