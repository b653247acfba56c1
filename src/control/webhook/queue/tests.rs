//! The queue in a file of its own: over restarts, when it is full, and on a disk that fails.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;

use redb::StorageBackend;
use serde_json::Value;

use super::*;

fn options(dir: &tempfile::TempDir, bytes_max: u64) -> QueueOptions {
    QueueOptions { path: dir.path().join("queue.redb"), bytes_max }
}

fn open(options: &QueueOptions, node: &str) -> Queue {
    Queue::open(options, (node, "name"), 1_000).unwrap()
}

/// One batch of gaps, which are as good as other events, and so many lost before them.
fn batch(events: &[u64], lost: u64) -> [Box<EventBatch>; 1] {
    let mut batch = EventBatch::lost(lost);
    events.iter().for_each(|n| batch.push_raw(&gap(*n, ("test", 0))));
    [Box::new(batch)]
}

/// Number, type and `lost` of what waits.
fn waiting(queue: &mut Queue) -> Vec<(u64, String, Option<u64>)> {
    let events = queue.peek(1_000, usize::MAX).unwrap();
    let read = |(seq, json): (u64, Vec<u8>)| {
        let event: Value = serde_json::from_slice(&json).unwrap();
        let kind = event["type"].as_str().unwrap();
        let kind = if event["node"] == "test" { "event" } else { kind };
        (seq, kind.to_owned(), event["lost"].as_u64())
    };
    events.into_iter().map(read).collect()
}

fn is(seq: u64, kind: &str, lost: Option<u64>) -> (u64, String, Option<u64>) {
    (seq, kind.to_owned(), lost)
}

#[test]
fn what_is_stored_is_there_in_its_order_after_the_file_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir, 1 << 20);
    let mut queue = open(&options, "n1");
    queue.append(&batch(&[1, 2], 0), 2_000).unwrap();
    queue.append(&batch(&[3], 0), 3_000).unwrap();
    assert_eq!((queue.len(), queue.oldest_ms()), (4, Some(1_000)));
    queue.forget(2, 4_000).unwrap();
    let expected = [is(3, "event", Some(2)), is(4, "event", Some(3))];
    assert_eq!(waiting(&mut queue), expected);
    let (bytes, oldest_ms) = (queue.bytes(), queue.oldest_ms());
    assert_eq!(oldest_ms, Some(2_000));
    drop(queue);

    let mut queue = open(&options, "n2");
    assert_eq!((queue.name(), queue.oldest_ms()), ("n1", oldest_ms));
    assert_eq!(waiting(&mut queue)[..2], expected);
    let started = queue.peek(9, usize::MAX).unwrap().pop().unwrap().1;
    let started: Value = serde_json::from_slice(&started).unwrap();
    assert_eq!((&started["node"], &started["previous_node"]), (&"n2".into(), &"n1".into()));
    queue.forget(5, 5_000).unwrap();
    assert_eq!((queue.len(), queue.bytes(), queue.oldest_ms()), (0, 0, None));
    assert!(bytes > 0);
}

#[test]
fn a_number_is_never_given_twice_though_nothing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir, 1 << 20);
    let mut queue = open(&options, "n1");
    queue.append(&batch(&[1], 0), 2_000).unwrap();
    queue.forget(2, 3_000).unwrap();
    drop(queue);
    let mut queue = open(&options, "n2");
    assert_eq!(waiting(&mut queue), [is(3, "node_started", None)]);
}

#[test]
fn a_request_takes_no_more_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&options(&dir, 1 << 20), "n1");
    queue.append(&batch(&[1, 2, 3], 0), 2_000).unwrap();
    let numbers =
        |events: Vec<(u64, Vec<u8>)>| events.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
    assert_eq!(numbers(queue.peek(2, usize::MAX).unwrap()), [1, 2]);
    assert_eq!(numbers(queue.peek(9, 1).unwrap()), [1], "one, however large it is");
}

#[test]
fn a_full_queue_keeps_what_it_has_counts_what_comes_and_says_so_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&options(&dir, 1_200), "n1");
    let many: Vec<u64> = (1..=20).collect();
    queue.append(&batch(&many, 0), 2_000).unwrap();
    assert!(queue.bytes() <= 1_200);
    let kept = queue.len() - 1;
    assert!((2..19).contains(&kept), "{kept}");
    assert_eq!(queue.lost(), 20 - kept);
    queue.append(&batch(&[21], 5), 2_000).unwrap();
    assert_eq!(queue.lost(), 26 - kept);
    queue.forget(1, 3_000).unwrap();
    queue.append(&batch(&[22], 0), 3_000).unwrap();
    assert_eq!(queue.len(), kept, "a little room is no room");
    queue.forget(kept, 3_000).unwrap();
    queue.append(&batch(&[23], 0), 3_000).unwrap();
    let last = kept + 1;
    let expected = [
        is(last, "event", Some(kept)),
        is(last + 1, "gap", Some(27 - kept)),
        is(last + 2, "event", Some(23)),
    ];
    assert_eq!(waiting(&mut queue), expected);
}

#[test]
fn what_was_lost_on_the_way_is_told_before_what_came_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&options(&dir, 1 << 20), "n1");
    queue.append(&batch(&[1], 4), 2_000).unwrap();
    queue.append(&batch(&[], 2), 2_000).unwrap();
    let expected = [
        is(1, "node_started", None),
        is(2, "gap", Some(4)),
        is(3, "event", Some(1)),
        is(4, "gap", Some(2)),
    ];
    assert_eq!(waiting(&mut queue), expected);
    assert_eq!(queue.lost(), 6);
}

#[test]
fn two_servers_do_not_share_a_queue() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir, 1 << 20);
    let _queue = open(&options, "n1");
    let error = Queue::open(&options, ("n2", "name"), 1_000).unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

/// The file, until it fails.
#[derive(Debug)]
struct Failing(redb::backends::FileBackend, Arc<OnceLock<()>>);

impl Failing {
    fn check(&self) -> io::Result<()> {
        let is_broken = self.1.get().is_some();
        if is_broken { Err(io::Error::other("broken")) } else { Ok(()) }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// A queue of one event whose open file fails from now on, while the disk is well.
fn broken(dir: &tempfile::TempDir) -> Queue {
    let mut queue = open(&options(dir, 1 << 20), "n1");
    queue.database = None;
    let file = std::fs::File::options().read(true).write(true).open(&queue.options.path);
    let breaks = Arc::new(OnceLock::new());
    let file = redb::backends::FileBackend::new(file.unwrap()).unwrap();
    let backend = Failing(file, Arc::clone(&breaks));
    let opened = Database::builder().set_cache_size(0).create_with_backend(backend);
    queue.database = Some(opened.unwrap());
    breaks.set(()).unwrap();
    queue
}

#[test]
fn a_file_that_could_not_be_read_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = broken(&dir);
    queue.peek(9, usize::MAX).unwrap_err();
    assert_eq!(waiting(&mut queue), [is(1, "node_started", None)]);
}

#[test]
fn events_are_not_lost_to_a_file_that_only_has_to_be_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = broken(&dir);
    queue.append(&batch(&[1], 0), 2_000).unwrap();
    assert_eq!(waiting(&mut queue), [is(1, "node_started", None), is(2, "event", Some(1))]);
    assert_eq!((queue.lost(), queue.stored()), (0, 2));
}

#[test]
fn what_cannot_be_written_is_lost_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = open(&options(&dir, 1 << 20), "n1");
    let path = queue.moved_to(dir.path().to_owned());
    queue.append(&batch(&[1, 2], 1), 2_000).unwrap_err();
    assert_eq!(queue.lost(), 3);
    queue.moved_to(path);
    queue.append(&batch(&[3], 0), 2_000).unwrap();
    let expected = [is(1, "node_started", None), is(2, "gap", Some(3)), is(3, "event", Some(3))];
    assert_eq!(waiting(&mut queue), expected);
}
