//! The official Rust client, the crate `centrifuge-client`, in a thread that takes the same
//! commands and says the same events as the clients in other languages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use centrifuge::{Client, Error, EventDelivery, Protocol, ProxyConfig, TransportEndpoint};
use crossbeam_channel::{Receiver, Sender};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;

/// What takes commands.
pub(crate) type Commands = Box<dyn FnMut(&Value) + Send>;

/// Starts the thread; it ends when nobody can give it commands any more.
pub(crate) fn start() -> (Commands, Receiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (say, events) = crossbeam_channel::unbounded();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(obey(receiver, say));
    });
    let commands = Box::new(move |command: &Value| {
        sender.send(command.clone()).expect("the thread lives as long as its commands");
    });
    (commands, events)
}

/// One instance of the SDK, and who waits for the token it asked for last.
struct Instance {
    client: Client,
    wanted: Wanted,
}

type Wanted = Arc<Mutex<Option<oneshot::Sender<String>>>>;

async fn obey(mut commands: UnboundedReceiver<Value>, say: Sender<String>) {
    let mut instances: HashMap<String, Instance> = HashMap::new();
    let voice = Voice { label: Value::Null, say: say.clone() };
    voice.say("ready", json!({}));
    while let Some(command) = commands.recv().await {
        let label = text(&command, "as");
        let does = text(&command, "do");
        if does == "connect" {
            let voice = Voice { label: json!(label), say: say.clone() };
            instances.insert(label, Instance::connect(&command, &voice));
            continue;
        }
        let Instance { client, wanted } = &instances[&label];
        match does.as_str() {
            "token" => {
                let wanted = wanted.lock().expect("nobody panicked").take();
                let token = text(&command, "token");
                wanted.expect("it asked").send(token).expect("it waits");
            }
            "rpc" => {
                let (client, say) = (client.clone(), say.clone());
                tokio::spawn(rpc(client, command, Voice { label: json!(label), say }));
            }
            "disconnect" => client.disconnect(),
            other => panic!("no command {other}"),
        }
    }
}

/// Says what happens to one instance.
#[derive(Clone)]
struct Voice {
    label: Value,
    say: Sender<String>,
}

impl Voice {
    fn say(&self, event: &str, mut more: Value) {
        more["event"] = json!(event);
        if !self.label.is_null() {
            more["as"] = self.label.clone();
        }
        // The test may be over.
        drop(self.say.send(more.to_string()));
    }
}

impl Instance {
    fn connect(command: &Value, voice: &Voice) -> Self {
        let endpoint = text(command, "endpoint");
        let endpoint = match command["transport"].as_str() {
            Some("websocket") => TransportEndpoint::websocket(endpoint),
            Some("http_stream") => TransportEndpoint::http_stream(endpoint),
            other => panic!("no transport {other:?}"),
        };
        let protocol = match command["protocol"].as_str() {
            Some("json") => Protocol::Json,
            Some("protobuf") => Protocol::Protobuf,
            other => panic!("no protocol {other:?}"),
        };
        let slack_ms = command["ping_slack_ms"].as_u64().expect("milliseconds");
        let wanted = Wanted::default();
        let asked = Arc::clone(&wanted);
        let [asks, connecting, connected, disconnected, errs] = [(); 5].map(|()| voice.clone());
        let client = Client::builder_with_transports([endpoint])
            .protocol(protocol)
            .proxy(ProxyConfig::None)
            .event_delivery(EventDelivery::Inline)
            .emulation_endpoint(text(command, "emulation"))
            .token(text(command, "token"))
            .name(text(command, "name"))
            .version(text(command, "version"))
            .max_server_ping_delay(Duration::from_millis(slack_ms))
            .min_reconnect_delay(Duration::from_millis(50))
            .max_reconnect_delay(Duration::from_millis(200))
            .get_token(move |_| {
                let (sender, token) = oneshot::channel();
                asked.lock().expect("nobody panicked").replace(sender);
                asks.say("token_wanted", json!({}));
                async move { Ok(token.await.ok()) }
            })
            .on_connecting(move |_, event| {
                connecting.say("connecting", json!({"code": event.code, "reason": event.reason}));
            })
            .on_connected(move |_, event| {
                let data = event.data.as_deref().map(String::from_utf8_lossy);
                connected.say("connected", json!({"client": event.client_id, "data": data}));
            })
            .on_disconnected(move |_, event| {
                let said = json!({"code": event.code, "reason": event.reason});
                disconnected.say("disconnected", said);
            })
            .on_error(move |_, event| errs.say("error", json!({"error": event.error.to_string()})))
            .build()
            .expect("a client");
        client.connect().expect("it is not closed");
        Self { client, wanted }
    }
}

async fn rpc(client: Client, command: Value, voice: Voice) {
    let reply = match client.rpc(&text(&command, "method"), command["data"].to_string()).await {
        Ok(result) => match serde_json::from_slice::<Value>(&result.data) {
            Ok(data) => json!({"data": data}),
            Err(error) => json!({"error": {"message": format!("no JSON: {error}")}}),
        },
        Err(Error::Server(error)) => {
            json!({"error": {"code": error.code, "message": error.message}})
        }
        Err(error) => json!({"error": {"message": error.to_string()}}),
    };
    voice.say("reply", reply);
}

fn text(command: &Value, key: &str) -> String {
    command[key].as_str().unwrap_or_else(|| panic!("no {key}: {command}")).to_owned()
}
