//! The worker's end of the control socket: JSON lines.

use std::os::unix::net::UnixStream;
use std::pin::pin;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};

use crate::clock::{Timer, now_ns};
use crate::failure::{Context, Failure};
use crate::orders::{Order, Reply};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// Nanoseconds between two words on how much is done: rare enough to cost a load nothing.
const TELL_NS: u64 = 500_000_000;

pub(super) struct Control {
    stream: monoio::net::UnixStream,
    received: Vec<u8>,
}

impl Control {
    pub(super) fn new(socket: UnixStream) -> Result<Self, Failure> {
        socket.set_nonblocking(true).during("preparing the control socket")?;
        let stream =
            monoio::net::UnixStream::from_std(socket).during("watching the control socket")?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// The next order; `None` when the coordinator is gone.
    pub(super) async fn next(&mut self) -> Result<Option<Order>, Failure> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).during("reading an order");
            }
            let (read, buffer) = self.stream.read(Vec::with_capacity(READ_BYTES)).await;
            if read.during("reading an order")? == 0 {
                return Ok(None);
            }
            self.received.extend_from_slice(&buffer);
        }
    }

    pub(super) async fn send(&mut self, reply: &Reply) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(reply).during("writing a reply")?;
        line.push(b'\n');
        self.stream.write_all(line).await.0.during("sending a reply").map(|_| ())
    }

    /// Does the work, telling meanwhile how much is done.
    pub(super) async fn telling<T>(
        &mut self,
        done: impl Fn() -> u64,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let timer = Timer::new()?;
        let mut work = pin!(work);
        loop {
            // Only the wait for the clock is ever given up, and loses nothing by it.
            monoio::select! {
                biased;
                outcome = &mut work => return outcome,
                elapsed = timer.until(now_ns() + TELL_NS) => elapsed?,
            }
            self.send(&Reply::Progress { done: done() }).await?;
        }
    }
}
