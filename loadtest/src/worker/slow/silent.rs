//! Reads all it is told and answers no ping: must be closed when the time for an answer is over.

use super::super::emulation::Emulation;
use super::super::session::{Over, Session, Shared};
use super::Client;
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::orders::Slow;

/// Connects; the server's first ping is the begin of its silence, which it cannot see.
pub(super) async fn connect(client: Client) -> Result<(), Failure> {
    let open = &client.clients.order.open;
    let token = client.clients.mint.token_of(client.user(), client.index)?;
    let opened = client.clients.door.open(client.from(), &token).await?;
    let begin_ns = now_ns();
    let shared = std::rc::Rc::new(Shared::default());
    let emulation = Emulation::new(open.address, std::rc::Rc::clone(&shared));
    let mut session = Session::new(opened, open.transport, &emulation, &shared)?;
    session.fall_silent();
    monoio::spawn(async move {
        let Over::Lost(lost) = session.live(std::future::pending()).await else { return };
        let seen = match lost.farewell {
            Some((code, _)) => format!("disconnected with {code}"),
            None => "closed without a farewell".to_owned(),
        };
        let gone_ns = lost.gone().await;
        client.clients.cut(Slow::Pong, seen, gone_ns - begin_ns);
    });
    Ok(())
}
