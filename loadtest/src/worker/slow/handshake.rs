//! Sends its opening request a byte per second and never comes to its end: must be cut when the
//! time for a handshake is over.

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use super::super::dial::Goodbye;
use super::super::open::connect as dial;
use super::Client;
use crate::clock::{NS_PER_S, Timer, now_ns};
use crate::failure::Failure;
use crate::http;
use crate::orders::Slow;

/// Bytes read at once.
const READ_BYTES: usize = 1024;

/// Begins at once: the time for a handshake runs from the connection.
pub(super) async fn connect(client: Client) -> Result<(), Failure> {
    let open = &client.clients.order.open;
    let mut socket = dial(open.address, client.from(), Goodbye::Reset).await?;
    let begin_ns = now_ns();
    let timer = Timer::new()?;
    monoio::spawn(async move {
        let mut received = Vec::new();
        let seen = loop {
            match next(&mut socket, &timer).await {
                Ok(Next::Second) => {}
                Ok(Next::Bytes(bytes)) => received.extend(bytes),
                Ok(Next::End) => break told(&received),
                // What it was told before a reset is lost to it.
                Err(failure) if received.is_empty() => break failure.to_string(),
                Err(_reset) => break told(&received),
            }
            let sent = usize::try_from((now_ns() - begin_ns) / NS_PER_S).expect("a run is short");
            if let Err(error) = socket.write_all(vec![request_byte(sent)]).await.0 {
                break if received.is_empty() { error.to_string() } else { told(&received) };
            }
        };
        client.clients.cut(Slow::Handshake, seen, now_ns() - begin_ns);
    });
    Ok(())
}

enum Next {
    Second,
    Bytes(Vec<u8>),
    End,
}

/// Waits for a second to pass or for the server to say something.
async fn next(socket: &mut TcpStream, timer: &Timer) -> Result<Next, Failure> {
    let is_readable = monoio::select! {
        biased;
        readable = socket.readable(false) => readable.is_ok(),
        passed = timer.until(now_ns() + NS_PER_S) => {
            passed?;
            false
        }
    };
    if !is_readable {
        return Ok(Next::Second);
    }
    let (read, buffer) = socket.read(Vec::with_capacity(READ_BYTES)).await;
    match read {
        Ok(0) => Ok(Next::End),
        Ok(_) => Ok(Next::Bytes(buffer)),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// The byte of the request at this place: it has no end.
fn request_byte(at: usize) -> u8 {
    b"GET /connection/websocket HTTP/1.1\r\nX-Slow: ".get(at).copied().unwrap_or(b'a')
}

/// What the server has answered.
fn told(received: &[u8]) -> String {
    match http::parse_head(received) {
        Ok(Some(head)) => format!("HTTP status {}", head.status),
        Ok(None) | Err(_) if received.is_empty() => "closed without a word".to_owned(),
        Ok(None) | Err(_) => "closed with something else than an HTTP answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_goes_on_for_ever_and_is_no_mistake_so_far() {
        let request: Vec<u8> = (0..500).map(request_byte).collect();
        assert!(request.starts_with(b"GET /connection/websocket HTTP/1.1\r\nX-Slow: aaaa"));
        assert!(!request.windows(4).any(|bytes| bytes == b"\r\n\r\n"));
    }

    #[test]
    fn what_the_server_answered_is_told_by_its_status() {
        let answer = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(told(answer), "HTTP status 408");
        assert_eq!(told(b""), "closed without a word");
        assert_eq!(told(b"x"), "closed with something else than an HTTP answer");
    }
}
