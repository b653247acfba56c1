//! ②③ A gRPC stream: a connection whose one request came whole, and whose bytes leave by the
//! control thread.

use std::rc::Rc;

use super::Shard;
use super::admission::NoConnect;
use crate::connection::open::Scope;
use crate::connection::opening::Caller;
use crate::ids::ConnId;
use crate::messages::{StreamKind, StreamOpen, StreamRefusal};
use crate::protocol::ConnectRequest;
use crate::proxy::Carried;
use crate::time::Now;
use crate::transport::{Events, Wire};

impl Shard {
    /// A client opened a stream. When this returns it is in, refused in the way of its transport,
    /// or waits for a verdict.
    ///
    /// # Errors
    /// Why it never was a connection: nothing remains of `conn`.
    pub fn on_stream(
        &mut self,
        conn: ConnId,
        open: StreamOpen,
        now: Now,
    ) -> Result<(), StreamRefusal> {
        match open.kind {
            StreamKind::Session => self.open_session_stream(conn, open, now),
            StreamKind::Watch => self.open_watch_stream(conn, &open.request, now),
        }
    }

    /// A backend watches.
    fn open_watch_stream(
        &mut self,
        conn: ConnId,
        body: &[u8],
        now: Now,
    ) -> Result<(), StreamRefusal> {
        let options = Rc::clone(&self.options);
        let options = options.grpc_api.as_ref().expect("the service is on");
        let selector = self.may_watch(options, body).map_err(StreamRefusal::Unwatched)?;
        self.conns.open(conn, Scope::Internal);
        self.begin_watch(conn, Events::Grpc, selector, now);
        Ok(())
    }

    fn open_session_stream(
        &mut self,
        conn: ConnId,
        open: StreamOpen,
        now: Now,
    ) -> Result<(), StreamRefusal> {
        // A proxy brings many, and what it says of them in the metadata is not read.
        let proxies = &self.options.trusted_proxies;
        let address = || Some(open.remote_addr).filter(|peer| !proxies.trusts(*peer));
        self.admission.admits_connect(address, now.mono_ms).map_err(|why| match why {
            NoConnect::OfNode => {
                self.counters.connects_limited += 1;
                StreamRefusal::Limited
            }
            NoConnect::OfAddress(too_often) => {
                self.counters.connects_limited_by_address += 1;
                StreamRefusal::TooOften { retry_after_s: too_often.retry_after_s }
            }
        })?;
        let request = ConnectRequest::parse_protobuf(&open.request).map_err(|error| {
            self.counters.requests_malformed += 1;
            StreamRefusal::Malformed(error)
        })?;
        let caller = Caller {
            remote_addr: Some(open.remote_addr),
            user_agent: open.user_agent,
            carried: Carried { metadata: open.metadata, ..Carried::default() },
            ..Caller::default()
        };
        self.conns.open(conn, Scope::External);
        self.begin(conn, Wire::UniGrpc, caller, (0, request), now);
        Ok(())
    }
}
