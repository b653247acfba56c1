//! A load process: one thread, one runtime, orders in and results out on its standard input,
//! which is a socket.
//!
//! Knows no scenario and reads no `/proc`; it opens, holds, connects and queries as it is told. The
//! runtime's epoll driver carries it: for sockets that mostly wait it was measured the cheaper
//! one, and the harness should not share the driver it measures.

mod call;
mod churn;
mod connect;
mod control;
mod deadline;
mod dial;
mod disconnect;
mod emulation;
mod grpc;
mod hold;
mod open;
mod query;
mod schedule;
mod session;
mod slow;
mod storm;
mod word;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use crate::failure::{Context, Failure};
use crate::orders::{Order, Reply};
use churn::Visitors;
use connect::Prepared;
use control::Control;
use hold::Holder;

/// Serves orders until the coordinator is gone; whatever is held then ends with the process.
pub(crate) fn run() -> Result<(), Failure> {
    let socket =
        std::io::stdin().as_fd().try_clone_to_owned().during("taking the control socket")?;
    let socket = UnixStream::from(socket);
    if socket.local_addr().is_err() {
        return Err(Failure::new("a worker is started by a scenario, not by hand"));
    }
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .enable_timer()
        .build()
        .during("starting the runtime")?;
    runtime.block_on(serve(socket))
}

async fn serve(socket: UnixStream) -> Result<(), Failure> {
    let mut control = Control::new(socket)?;
    let holder = Rc::new(Holder::new());
    let mut prepared = None;
    let mut visitors = None;
    while let Some(order) = control.next().await? {
        let answered = match order {
            Order::Open(order) => holder.open(order).await.map(|ping_s| Reply::Opened { ping_s }),
            Order::Ends => Ok(Reply::Ends(holder.shared().ends.take())),
            Order::Tally => Ok(Reply::Tally(holder.tally())),
            Order::Prepare(order) => Prepared::new(order).map(|made| {
                prepared = Some(made);
                Reply::Prepared
            }),
            Order::Connect(order) => match prepared.take() {
                Some(made) => connect::run(made, order, &mut control).await.map(Reply::Connects),
                None => Err(unprepared()),
            },
            Order::Storm { at_ns } => match prepared.take() {
                Some(made) => storm::run(made, at_ns, &holder).await.map(Reply::Stormed),
                None => Err(unprepared()),
            },
            Order::Gather(order) => Visitors::gather(order, &holder).await.map(|gathered| {
                let ping_s = gathered.ping_s();
                visitors = Some(gathered);
                Reply::Opened { ping_s }
            }),
            Order::Churn => match &visitors {
                Some(visitors) => {
                    churn::run(Rc::clone(visitors), &mut control).await.map(Reply::Churned)
                }
                None => Err(unprepared()),
            },
            Order::Disconnect(order) => {
                disconnect::run(order, &mut control).await.map(Reply::Disconnected)
            }
            Order::Slow(order) => slow::run(order, &mut control).await.map(Reply::Slowed),
            Order::Query(order) => query::run(order, &mut control).await.map(Reply::Measured),
        };
        let reply = answered.unwrap_or_else(|failure| Reply::Failed(failure.to_string()));
        control.send(&reply).await?;
    }
    Ok(())
}

fn unprepared() -> Failure {
    Failure::new("nothing is prepared")
}
