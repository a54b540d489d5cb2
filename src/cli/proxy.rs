//! `urls --proxy`: what a proxy or tunnel is told so that it forwards `/hooks/*` to the receiver, and nothing else.
//!
//! Ready to paste: remarks stand in it as comments. Each block keeps bodies as they are, tells the receiver who calls so
//! that a forged `X-Forwarded-For` cannot pass, and takes the path of `public_url` away that links keep.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::address::Address;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::links::near;
use crate::cli::out::Out;
use crate::cli::{running, table};
use crate::receiver::peer::Proxies;

/// The ports that Tailscale opens to the world.
const FUNNEL_PORTS: [u16; 3] = [443, 8443, 10_000];

/// What stands between the world and the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Proxy {
    /// Caddy: a site of the Caddyfile
    Caddy,
    /// nginx: a location
    Nginx,
    /// Cloudflare Tunnel: ingress rules
    Cloudflared,
    /// Tailscale Funnel: a command
    Tailscale,
}

/// Everything that a block depends on.
struct Plan {
    address: Address,
    /// The receiver, as this machine reaches it.
    listen: SocketAddr,
    /// Longest body, bytes.
    body_bytes_max: usize,
    /// A header whose name nginx drops unless told otherwise.
    odd_header: Option<String>,
}

#[derive(Serialize)]
struct Written {
    proxy: &'static str,
    block: String,
    remarks: Vec<String>,
}

/// Writes the block of `proxy` to stdout, and what else is to be known to stderr.
pub fn run(context: &Context, proxy: Proxy, out: &mut Out) -> Result<()> {
    let listen = running::listen(context);
    let plan = Plan {
        address: Address::of(context)?,
        listen: near(listen),
        body_bytes_max: context.config.receiver.body_bytes_max,
        odd_header: odd_header(context),
    };
    let (name, block) = match proxy {
        Proxy::Caddy => ("caddy", plan.caddy()),
        Proxy::Nginx => ("nginx", plan.nginx()),
        Proxy::Cloudflared => ("cloudflared", plan.cloudflared()?),
        Proxy::Tailscale => ("tailscale", plan.tailscale()?),
    };
    let remarks = remarks(context, listen)?;
    if context.global.json {
        let written = [Written {
            proxy: name,
            block,
            remarks,
        }];
        out.line(table::tame(&serde_json::to_string(&written)?))?;
        return Ok(out.flush()?);
    }
    for line in block.lines() {
        out.line(line)?;
    }
    for remark in remarks {
        out.say(remark)?;
    }
    out.say("then: subledger doctor --public")?;
    Ok(())
}

/// What the settings have to hold for any of them.
fn remarks(context: &Context, listen: SocketAddr) -> Result<Vec<String>> {
    let receiver = &context.config.receiver;
    let warnings = context.config.warnings.iter();
    let mut remarks: Vec<String> = warnings.map(|text| format!("warning: {text}")).collect();
    let proxies = Proxies::parse(&receiver.trusted_proxies)?;
    if listen.ip().is_loopback() && !proxies.trusts(listen.ip()) {
        remarks.push(
            "receiver.trusted_proxies does not hold \"loopback\": every caller would have the proxy's address"
                .to_owned(),
        );
    }
    if !listen.ip().is_loopback() {
        remarks.push(format!(
            "the receiver listens on {listen}, past the proxy too: \
             subledger config set receiver.listen 127.0.0.1:{}, unless the proxy runs on another machine",
            listen.port()
        ));
    }
    Ok(remarks)
}

/// A configured header with an underscore in its name.
fn odd_header(context: &Context) -> Option<String> {
    let headers = ["signature_header", "timestamp_header"];
    let accounts = context.config.accounts.iter();
    accounts
        .flat_map(|settings| headers.iter().filter_map(|key| settings.text(key)))
        .find(|name| name.contains('_'))
        .map(str::to_owned)
}

impl Plan {
    fn caddy(&self) -> String {
        let Address { prefix, .. } = &self.address;
        let site = match (self.address.is_secure, self.address.has_own_port()) {
            (true, false) => self.address.host_in_url(),
            (is_secure, has_own_port) => {
                let scheme = if is_secure { "https" } else { "http" };
                let port = if has_own_port {
                    format!(":{}", self.address.port)
                } else {
                    String::new()
                };
                format!("{scheme}://{}{port}", self.address.host_in_url())
            }
        };
        let strip = if prefix.is_empty() {
            String::new()
        } else {
            format!("\t\turi strip_prefix {prefix}\n")
        };
        format!(
            "# Caddyfile. If this site stands there already, take over the first `handle` only.\n\
             # Caddy sets X-Forwarded-For itself and drops a forged one, and streams bodies as they are. Its log names\n\
             # the secret ends of links with a `log` of this site, and without one when the receiver is down: keep it\n\
             # to yourself.\n\
             {site} {{\n\
             \thandle {prefix}/hooks/* {{\n\
             {strip}\
             \t\treverse_proxy {listen} {{\n\
             \t\t\ttransport http {{\n\
             \t\t\t\tdial_timeout 3s\n\
             \t\t\t\tresponse_header_timeout 30s\n\
             \t\t\t}}\n\
             \t\t}}\n\
             \t}}\n\
             \thandle {{\n\
             \t\trespond 404\n\
             \t}}\n\
             }}\n",
            listen = self.listen,
        )
    }

    fn nginx(&self) -> String {
        let Address { prefix, host, .. } = &self.address;
        let port = self.address.port;
        let tls = if self.address.is_secure { " ssl" } else { "" };
        // Without a path of its own nginx passes the request's path on as it came.
        let path = if prefix.is_empty() { "" } else { "/hooks/" };
        // Twice the limit, so that the receiver sees what is too long, and keeps the reason.
        let body_max = nginx_size(self.body_bytes_max.saturating_mul(2));
        let body_buffer = nginx_size(self.body_bytes_max);
        let mut block = format!(
            "# Goes into the server block with `listen {port}{tls}` and `server_name {host}`. If that serves\n\
             # nothing else, give it `location / {{ return 404; }}` too.\n\
             location ^~ {prefix}/hooks/ {{\n    \
                 proxy_pass http://{listen}{path};\n    \
                 proxy_http_version 1.1;\n    \
                 proxy_set_header Host $host;\n    \
                 # Overwritten, never appended to: what a caller claims does not come through.\n    \
                 proxy_set_header X-Forwarded-For $remote_addr;\n    \
                 proxy_set_header X-Forwarded-Proto $scheme;\n    \
                 proxy_connect_timeout 5s;\n    \
                 proxy_send_timeout 30s;\n    \
                 proxy_read_timeout 30s;\n    \
                 # Over the receiver's own limit, so that `subledger rejected` tells what was too long.\n    \
                 client_max_body_size {body_max};\n    \
                 # A slow sender holds nginx, not the receiver, and no body touches nginx's disk.\n    \
                 proxy_request_buffering on;\n    \
                 client_body_buffer_size {body_buffer};\n    \
                 client_body_timeout 15s;\n    \
                 # Conscent sends Basic: a password of this site must not stand before it.\n    \
                 auth_basic off;\n    \
                 # The request line holds the secret end of a link. nginx writes it to the error log too when the\n    \
                 # receiver is down: keep that file to yourself.\n    \
                 access_log off;\n\
             }}\n",
            listen = self.listen,
        );
        if let Some(header) = &self.odd_header {
            let note = format!(
                "# nginx drops the header {header} for its underscore: put `underscores_in_headers on;` into the server block.\n"
            );
            block.insert_str(0, &note);
        }
        block
    }

    fn cloudflared(&self) -> Result<String> {
        let Address { prefix, host, .. } = &self.address;
        if !prefix.is_empty() {
            return Err(Failure::usage(format!(
                "cloudflared cannot take {prefix:?} off the path: \
                 give the receiver a host name of its own, subledger config set receiver.public_url https://{host}"
            ))
            .into());
        }
        Ok(format!(
            "# config.yml of cloudflared, beside `tunnel` and `credentials-file`; the last rule must stay the last.\n\
             # Before: cloudflared tunnel create NAME; cloudflared tunnel route dns NAME {host}\n\
             # In the dashboard, a rule that skips challenges and bot fighting for URI paths that begin with /hooks/:\n\
             # providers cannot solve them. Cloudflare writes the caller behind whatever X-Forwarded-For came.\n\
             ingress:\n  \
               - hostname: {host}\n    \
                 path: ^/hooks/\n    \
                 service: http://{listen}\n    \
                 originRequest:\n      \
                   connectTimeout: 5s\n  \
               - service: http_status:404\n",
            listen = self.listen,
        ))
    }

    fn tailscale(&self) -> Result<String> {
        let Address {
            prefix, host, port, ..
        } = &self.address;
        if !self.address.is_secure || !FUNNEL_PORTS.contains(port) {
            return Err(Failure::usage(format!(
                "Tailscale Funnel serves https:// on the ports 443, 8443 and 10000 only, \
                 and receiver.public_url is {:?}",
                self.address.url
            ))
            .into());
        }
        let mut block = String::new();
        if !host.ends_with(".ts.net") {
            writeln!(
                block,
                "# {host} is none of Tailscale's names: `tailscale status --self --json` tells yours (DNSName), and\n\
                 # subledger config set receiver.public_url takes it."
            )?;
        }
        let listen = self.listen;
        writeln!(
            block,
            "# Needs HTTPS and Funnel allowed for this machine in the tailnet's policy. Tailscale drops a forged\n\
             # X-Forwarded-For and writes the caller's. The same with `off` behind it takes it back.\n\
             tailscale funnel --bg --https={port} --set-path={prefix}/hooks http://{listen}/hooks"
        )?;
        Ok(block)
    }
}

/// Bytes as nginx writes them, never less.
fn nginx_size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{}m", bytes >> 20)
    } else {
        format!("{}k", bytes.div_ceil(1 << 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(url: &str) -> Plan {
        Plan {
            address: Address::parse(url).unwrap(),
            listen: "127.0.0.1:8484".parse().unwrap(),
            body_bytes_max: 1 << 20,
            odd_header: None,
        }
    }

    #[test]
    fn a_site_of_caddy_is_the_public_url() {
        for (url, site, path) in [
            (
                "https://hooks.example.org",
                "hooks.example.org {",
                "handle /hooks/* {",
            ),
            (
                "http://hooks.example.org",
                "http://hooks.example.org {",
                "handle /hooks/* {",
            ),
            (
                "https://example.org:8443/in",
                "https://example.org:8443 {",
                "handle /in/hooks/* {",
            ),
        ] {
            let block = plan(url).caddy();
            assert!(block.lines().any(|line| line == site), "{block}");
            assert!(block.lines().any(|line| line.trim() == path), "{block}");
            assert_eq!(block.contains("uri strip_prefix /in"), url.ends_with("/in"));
        }
    }

    #[test]
    fn nginx_has_room_for_what_the_receiver_takes() {
        assert_eq!(nginx_size(2 << 20), "2m");
        assert_eq!(nginx_size(1_000_000), "977k");
        let block = plan("https://example.org/in").nginx();
        assert!(block.contains("location ^~ /in/hooks/ {"), "{block}");
        assert!(
            block.contains("proxy_pass http://127.0.0.1:8484/hooks/;"),
            "{block}"
        );
        assert!(block.contains("client_max_body_size 2m;"), "{block}");
        let block = plan("https://example.org").nginx();
        assert!(
            block.contains("proxy_pass http://127.0.0.1:8484;"),
            "{block}"
        );
    }

    #[test]
    fn nginx_is_told_of_a_header_that_it_would_drop() {
        let mut plan = plan("https://example.org");
        plan.odd_header = Some("x_signature".to_owned());
        assert!(plan.nginx().contains("underscores_in_headers on;"));
    }

    #[test]
    fn a_tunnel_that_cannot_serve_the_url_says_so() {
        assert!(plan("https://example.org").cloudflared().is_ok());
        let error = plan("https://example.org/in").cloudflared().unwrap_err();
        assert!(error.to_string().contains("\"/in\""), "{error}");
        for wrong in ["https://box.tail.ts.net:444", "http://box.tail.ts.net"] {
            assert!(plan(wrong).tailscale().is_err(), "{wrong}");
        }
    }

    #[test]
    fn funnel_forwards_the_hooks_alone() {
        let block = plan("https://box.tail1.ts.net:8443/in")
            .tailscale()
            .unwrap();
        let command =
            "tailscale funnel --bg --https=8443 --set-path=/in/hooks http://127.0.0.1:8484/hooks";
        assert_eq!(block.lines().last(), Some(command));
        assert!(!block.contains("none of Tailscale's names"));
        let other = plan("https://example.org").tailscale().unwrap();
        assert!(other.contains("example.org is none of Tailscale's names"));
    }
}
