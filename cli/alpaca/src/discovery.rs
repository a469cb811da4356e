//! Discovery (UDP 32227): tells clients that ask everybody in the network on which port the server is.
#![expect(clippy::disallowed_methods, reason = "pauses after an error")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::network::{Network, is_allowed};

/// The standard's port.
pub(crate) const PORT: u16 = 32227;
/// What a question begins with; a version follows.
const QUESTION: &[u8] = b"alpacadiscovery1";
const PAUSE: Duration = Duration::from_secs(1);

/// Listens, also beside other Alpaca servers of this machine.
///
/// # Errors
/// The port cannot be used.
pub(crate) fn listen() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    UdpSocket::from_std(socket.into())
}

/// Answers those who may connect, until the program ends.
pub(crate) async fn serve(socket: UdpSocket, port: u16, allow: &[Network]) {
    let answer = json!({ "AlpacaPort": port }).to_string();
    let mut question = [0; 64];
    loop {
        match socket.recv_from(&mut question).await {
            Ok((length, from)) => {
                let is_one = question.get(..length).is_some_and(|text| text.starts_with(QUESTION));
                if is_one && is_allowed(allow, from.ip()) {
                    // Who does not get it asks again.
                    let _ = socket.send_to(answer.as_bytes(), from).await;
                }
            }
            // Not a loop that does nothing else.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
