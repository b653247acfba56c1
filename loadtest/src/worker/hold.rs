//! Sessions opened in order and held until the worker ends: one tiny task each.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::rc::Rc;

use super::deadline::{CONNECT, within};
use super::dial::{Goodbye, source};
use super::emulation::Emulation;
use super::grpc;
use super::open::Door;
use super::session::{Over, Session, Shared};
use crate::failure::Failure;
use crate::orders::{OpenOrder, SessionEnd, Tally};
use crate::population::Mint;
use crate::transport::Carrier;

/// All held sessions of this process.
pub(super) struct Holder {
    shared: Rc<Shared>,
    /// Where pongs are posted; the same for all orders of a run.
    emulation: OnceCell<Rc<Emulation>>,
}

impl Holder {
    pub(super) fn new() -> Self {
        Self { shared: Rc::default(), emulation: OnceCell::new() }
    }

    pub(super) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    pub(super) fn tally(&self) -> Tally {
        self.shared.tally.borrow().clone()
    }

    /// The way pongs go to this server.
    pub(super) fn emulation(&self, address: SocketAddr) -> &Rc<Emulation> {
        self.emulation.get_or_init(|| Emulation::new(address, Rc::clone(&self.shared)))
    }

    /// Holds a session that has been accepted, under this number.
    pub(super) fn adopt(&self, held: Session, session: u32) {
        monoio::spawn(hold(held, session, Rc::clone(&self.shared)));
    }

    /// Opens what the order asks for; the ping interval in seconds the server promised.
    pub(super) async fn open(&self, order: OpenOrder) -> Result<u32, Failure> {
        let emulation = self.emulation(order.address);
        let opening = Rc::new(Opening {
            mint: Mint::new(&order.secret, order.per_user, order.seed, crate::clock::unix_s()),
            next: Cell::new(order.first),
            ping_s: Cell::new(0),
            door: Door::new(order.address, order.transport, Goodbye::Fin),
            emulation: Rc::clone(emulation),
            shared: Rc::clone(&self.shared),
            order,
        });
        // So many connects are in flight, or those of one connection.
        let lanes = (opening.order.concurrency / opening.at_once()).max(1);
        let lanes: Vec<_> = (0..lanes).map(|_| monoio::spawn(lane(Rc::clone(&opening)))).collect();
        for lane in lanes {
            lane.await?;
        }
        Ok(opening.ping_s.get())
    }
}

/// One order being carried out.
struct Opening {
    order: OpenOrder,
    mint: Mint,
    door: Door,
    emulation: Rc<Emulation>,
    shared: Rc<Shared>,
    next: Cell<u32>,
    ping_s: Cell<u32>,
}

impl Opening {
    /// Sessions opened together, on one connection.
    const fn at_once(&self) -> u32 {
        match self.order.transport.carrier() {
            Carrier::Grpc => grpc::SESSIONS_MAX,
            Carrier::Lines | Carrier::Events | Carrier::Frames => 1,
        }
    }
}

/// Opens one session, or one connection full of them, after the other until the order is done,
/// or until one fails anywhere.
async fn lane(opening: Rc<Opening>) -> Result<(), Failure> {
    let order = &opening.order;
    let at_once = opening.at_once();
    loop {
        let first = opening.next.get();
        if first >= order.end {
            return Ok(());
        }
        let end = order.end.min(first.saturating_add(at_once));
        opening.next.set(end);
        let opened = if at_once == 1 {
            open_one(&opening, first).await
        } else {
            let from = order.source.map(|source_first| source(source_first, first));
            let sessions = first..end;
            let open = grpc::open(order.address, from, &opening.mint, sessions, &opening.shared);
            within(CONNECT, "not accepted", open).await
        };
        match opened {
            Ok(ping_s) => opening.ping_s.set(ping_s),
            Err(failure) => {
                // The other lanes need not go on.
                opening.next.set(order.end);
                return Err(Failure::new(format!("session {first}: {failure}")));
            }
        }
    }
}

async fn open_one(opening: &Opening, session: u32) -> Result<u32, Failure> {
    let from = opening.order.source.map(|first| source(first, session));
    let token = opening.mint.token(session)?;
    let opened = opening.door.open(from, &token).await?;
    let ping_s = opened.connected.ping_s;
    let transport = opening.order.transport;
    let held = Session::new(opened, transport, &opening.emulation, &opening.shared)?;
    monoio::spawn(hold(held, session, Rc::clone(&opening.shared)));
    Ok(ping_s)
}

/// Lives for as long as the server lets it.
async fn hold(held: Session, session: u32, shared: Rc<Shared>) {
    if let Over::Lost(lost) = held.live(std::future::pending()).await {
        let farewell = lost.farewell;
        let gone_ns = lost.gone().await;
        shared.ends.borrow_mut().push(SessionEnd { session, farewell, gone_ns });
    }
}
