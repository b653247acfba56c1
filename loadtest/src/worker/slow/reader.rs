//! Asks for long replies and reads none of them: what it is owed must not grow without bound, and
//! it must be cut.
//!
//! Its receive buffer is as small as the kernel makes one, and nothing is read after the session is
//! accepted: so all that the server writes stays on the server's side. That it was cut shows in
//! what becomes of its own writing, for it never looks.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;

use super::Client;
use crate::clock::{Timer, now_ns};
use crate::failure::{Context, Failure};
use crate::orders::Slow;
use crate::protocol;
use crate::websocket::{self, Kind};

use super::super::dial::dial_narrow;
use super::super::open::up;

/// Nanoseconds of a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// Connects, and asks from the moment all are there.
pub(super) async fn connect(client: Client) -> Result<(), Failure> {
    let open = &client.clients.order.open;
    let writer = dial_narrow(open.address, client.from())?;
    // The session is opened on a copy of the descriptor, and only this one is kept.
    let socket = up(writer.try_clone().during("copying a socket")?).await?;
    let token = client.clients.mint.token_of_lister(client.user(), client.index)?;
    drop(client.clients.door.enter(socket, &token).await?);
    let timer = Timer::new()?;
    monoio::spawn(async move {
        client.begin.said().await;
        let pace_ns = client.clients.order.ask_every_ms * NS_PER_MS;
        // They do not ask all at once.
        let begin_ns = now_ns() + pace_ns * client.share_per_mille() / 1_000;
        if timer.until(begin_ns).await.is_err() {
            return;
        }
        let mut asker = Asker { writer, unsent: Vec::new(), asked: 1 };
        let seen = loop {
            if let Err(error) = asker.ask() {
                break error.kind().to_string();
            }
            if let Err(failure) = timer.until(now_ns() + pace_ns).await {
                break failure.to_string();
            }
        };
        client.clients.cut(Slow::Reader, seen, now_ns().saturating_sub(begin_ns));
    });
    Ok(())
}

struct Asker {
    writer: TcpStream,
    /// The end of a question the kernel has not taken whole.
    unsent: Vec<u8>,
    /// Commands so far, the connect included: ids do not repeat.
    asked: u32,
}

impl Asker {
    /// Asks once more, or sends what is left of the last question; never waits.
    fn ask(&mut self) -> std::io::Result<()> {
        if self.unsent.is_empty() {
            self.asked += 1;
            let question = protocol::list_sessions(self.asked);
            websocket::write(&mut self.unsent, Kind::Text, &question);
        }
        match self.writer.write(&self.unsent) {
            Ok(len) => {
                self.unsent.drain(..len);
                Ok(())
            }
            // A server may stop reading from one that does not read.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn questions_are_whole_frames_with_ids_of_their_own_and_a_cut_is_seen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut asker = Asker { writer, unsent: Vec::new(), asked: 1 };
        let mut expected = Vec::new();
        for id in [2, 3] {
            asker.ask().unwrap();
            websocket::write(&mut expected, Kind::Text, &protocol::list_sessions(id));
        }
        let mut received = vec![0; expected.len()];
        far.read_exact(&mut received).unwrap();
        assert_eq!(received, expected);
        drop(far);
        assert!((0..1_000_000).any(|_| asker.ask().is_err()));
    }
}
