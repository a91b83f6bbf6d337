//! Ports on loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use crate::error::{Context as _, Error, Result};

/// Takes a port (0: any that is free), or says who wanted it and how to move.
pub fn take(port: u16, who: &str, option: &str) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::new(format!("port {port}, which {who} wants, is in use")).cure(format!(
            "{option} with another port, or stop what uses it (`lsof -i :{port}` names it; where it names nothing, a \
             connection that has ended holds the port for a minute more)"
        )),
        _ => Error::new(format!("port {port}, which {who} wants, cannot be used: {error}"))
            .cure(format!("{option} with another port")),
    })
}

/// The port a listener got.
pub fn of(listener: &TcpListener) -> Result<u16> {
    listener.local_addr().map(|address| address.port()).context(|| "A listener lost its port".into())
}

/// Where [`free`] looks. Below the ports that systems give to outgoing connections (Linux from 32768, macOS from 49152), so
/// that no connection takes one before the program that is to open it.
const FREE: std::ops::Range<u16> = 20_000..32_000;

/// Ports that were free a moment ago, all different, for programs that open their own.
pub fn free(count: usize) -> Result<Vec<u16>> {
    // From anywhere in the range, so that two stacks that start at once do not take the same.
    let [low, high, ..] = *uuid::Uuid::new_v4().as_bytes();
    let first = FREE.start + u16::from_le_bytes([low, high]) % (FREE.end - FREE.start);
    let all = (first..FREE.end).chain(FREE.start..first);
    // All held until there are enough.
    let listeners: Vec<_> = all.filter_map(|port| take(port, "the stack", "try again").ok()).take(count).collect();
    if listeners.len() < count {
        return Err(Error::new(format!("no {count} ports from {} to {} are free", FREE.start, FREE.end)));
    }
    listeners.iter().map(of).collect()
}

/// That port on loopback.
pub fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::{free, of, take};

    #[test]
    fn a_port_in_use_is_named_with_who_wanted_it_and_how_to_move() -> crate::error::Result<()> {
        let held = take(0, "the test", "--port")?;
        let error = take(of(&held)?, "the gateway", "--api-port").err().map(|error| error.to_string());
        let text = error.unwrap_or_default();
        assert!(text.contains(&of(&held)?.to_string()) && text.contains("the gateway"), "{text}");
        assert!(text.contains("--api-port"), "{text}");
        Ok(())
    }

    #[test]
    fn free_ports_differ() -> crate::error::Result<()> {
        let ports = free(3)?;
        assert!(ports.iter().enumerate().all(|(at, port)| !ports.iter().skip(at + 1).any(|other| other == port)));
        Ok(())
    }
}
