//! Configuration: every option declared once, loaded from file, environment and flags.
//!
//! Used by `cli` alone, which hands each layer its own `Options`. Nothing below imports it, and
//! nothing but this module and `cli` reads the environment.

mod declare;
pub mod duration;
mod setting;
mod shared;
mod table;
mod table_pages;
mod table_proxy;
mod table_redis;
mod table_storage;
mod table_tls;
mod table_token;
mod table_webhook;

mod centrifugo;
mod env;
mod file;
mod load;
mod named_proxies;
mod paths;
mod proxies;
mod suggest;
mod tokens;
mod validate;
mod webhook;

pub use centrifugo::{FLAGS_WITH_VALUE, FLAGS_WITHOUT_VALUE};
pub use declare::Declared;
pub use env::environment;
pub use file::{ConfigFile, Format};
pub use load::{LoadError, LoadErrors, Loaded, Sources, load};
pub use named_proxies::{NamedProxies, NamedProxy};
pub use setting::{
    ClaimPick, ClaimPicks, CodeTarget, CodeTransform, ErrorMode, ErrorTarget, Headers, HttpTarget,
    HttpTransform, Kind, Secret, StatusTransform, some,
};
pub use table::{
    Client, ClosedSessions, Config, ConnectRateLimit, Disconnect, Emulation, GrpcApi, Health,
    HttpApi, HttpServer, HttpStream, HttpStreamRefusals, LabelFilter, Labels, Log, Node, OPTIONS,
    Queries, Sessions, Shards, Shutdown, Sse, SseRefusals, Test, UniDisconnects, UniGrpc,
    UniHttpStream, UniSse, UniWebSocket, Watch, WebSocket,
};
pub use table_pages::{Admin, Swagger};
pub use table_proxy::{
    ConnectProxy, ConnectProxyGrpc, ConnectProxyHttp, Proxies, RefreshProxy, RefreshProxyGrpc,
    RefreshProxyHttp,
};
pub use table_redis::RedisOfKind;
pub use table_storage::{
    StorageFile, StorageRedis, TokenRevoke, UserBlock, UserStatus, UserTokensInvalidate,
};
pub use table_tls::BackendTls;
pub use table_token::Token;
pub use table_webhook::SessionWebhook;
pub use validate::dangers;

#[cfg(test)]
mod docs;
#[cfg(test)]
mod tests;
