//! Messages about a node for whoever looks at it.

use super::field::{Message, bool, int64, message, part, text, uint32};

const OPENED: &str = "Sessions that have connected since the start.";
const CLOSED: &str = "Sessions that have ended since then.";
const QUERIES: &str = "Commands of the server API answered since then.";
const DRIVER: &str = "What carries its events: `io_uring` or `epoll`.";

pub(in crate::api) static NODE_STATS_REQUEST: Message =
    message("NodeStatsRequest", "Nothing has to be said.", &[]);

pub(in crate::api) static NODE_STATS_RESULT: Message = message(
    "NodeStatsResult",
    "The node that was asked, and what is not well with it.",
    &[
        part("node", 1, &NODE_STATS, "The node that was asked.").required(),
        part("health", 2, &NODE_FINDING, "What is not well, the worst first. Empty: all is.")
            .many()
            .required(),
        bool("partial", 3, "A shard did not answer in time: the figures lack its part."),
    ],
);

pub(in crate::api) static NODE_STATS: Message = message(
    "NodeStats",
    "A node in figures.",
    &[
        text("uid", 1, "Name of this run of it.").required(),
        text("name", 2, "Its name (`node.name`).").required(),
        text("version", 3, "The version it runs.").required(),
        int64("uptime_s", 4, "Seconds since it started.").required(),
        text("driver", 5, DRIVER).required(),
        int64("sessions", 6, "Sessions on it.").required(),
        int64("users", 7, "Users of these; all anonymous ones are one.").required(),
        int64("connections", 8, "Connections of any kind, this one among them.").required(),
        int64("opened_total", 9, OPENED).required(),
        int64("closed_total", 10, CLOSED).required(),
        int64("queries_total", 11, QUERIES).required(),
        part("query_us", 12, &QUERY_TIMES, "How long requests to the server API took.").required(),
        part("memory", 13, &NODE_MEMORY, "What memory it uses, when that is known."),
        int64("descriptors_limit", 14, "Descriptors it may have open, when there is a limit."),
        part("shards", 15, &SHARD_STATS, "One for each shard that answered.").many().required(),
    ],
);

pub(in crate::api) static SHARD_STATS: Message = message(
    "ShardStats",
    "A shard in figures.",
    &[
        uint32("shard", 1, "Which one.").required(),
        int64("sessions", 2, "Sessions on it.").required(),
        int64("users", 3, "Users of these; one may be on other shards as well.").required(),
        int64("connections", 4, "Connections of any kind.").required(),
        text("driver", 5, DRIVER).required(),
        int64("opened_total", 6, OPENED).required(),
        int64("closed_total", 7, CLOSED).required(),
        int64("queries_total", 8, QUERIES).required(),
    ],
);

pub(in crate::api) static QUERY_TIMES: Message = message(
    "QueryTimes",
    "Microseconds that requests to the server API took lately, from the last byte read to the reply.",
    &[
        int64("count", 1, "How many there were.").required(),
        int64("p50", 2, "Half of them took no longer.").required(),
        int64("p99", 3, "Of a hundred, ninety-nine took no longer.").required(),
        int64("p999", 4, "Of a thousand, all but one took no longer.").required(),
        int64("max", 5, "What the longest took.").required(),
        uint32("window_s", 6, "How many seconds are looked back.").required(),
    ],
);

pub(in crate::api) static NODE_MEMORY: Message = message(
    "NodeMemory",
    "What memory a node uses.",
    &[
        int64("rss_bytes", 1, "Resident memory.").required(),
        int64("limit_bytes", 2, "What it may grow to, when that is known."),
        int64(
            "per_session_bytes",
            3,
            "What it has grown by since the start for each session; from a thousand sessions on.",
        ),
    ],
);

pub(in crate::api) static NODE_FINDING: Message = message(
    "NodeFinding",
    "Something that is not well.",
    &[
        text("level", 1, "`error`: somebody should act. `warning`: somebody should know.")
            .required(),
        text("what", 2, "A sentence for a person.").required(),
    ],
);
