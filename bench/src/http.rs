//! One three-change document a request, 64 keep-alive connections, every answer after its fsync; beside a handler that
//! reads the body and answers 200.

use std::time::Instant;

use crate::documents::three_changes;
use crate::load::{self, Load, PATH};
use crate::report::{Rounds, Target, head, line, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Fallible, client, machine};

const CONNECTIONS: usize = 64;
const ROUNDS: Scaled<usize> = Scaled(5, 1);
const SECONDS: Scaled<f64> = Scaled(2.5, 0.3);

/// The number of the document that is sent when the load is over.
const LAST: i64 = 100_000_000;

pub(crate) fn measure() -> Fallible {
    let (mut plain, mut gateway, mut up) = (Rounds::default(), Rounds::default(), Rounds::default());
    let (mut plain_cpu, mut gateway_cpu, mut up_cpu) = (Rounds::default(), Rounds::default(), Rounds::default());
    let (mut gateway_mib, mut up_mib) = (Rounds::default(), Rounds::default());
    let (mut behind, mut generator, mut syncs) = (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS.now() {
        // Beside each round, since disks are moody.
        syncs.push(machine::fsync_ms()?.median());

        let server = Server::plain()?;
        let load = loaded(&server, &mut plain_cpu)?;
        plain.push(load.rate);
        generator.push(load.own_cores);
        drop(server);

        let scratch = Scratch::new()?;
        let server = Server::up(scratch.path(), &["--role", "gateway"])?;
        gateway.push(loaded(&server, &mut gateway_cpu)?.rate);
        gateway_mib.push(server.peak_memory_mib()?);
        drop(server);

        let scratch = Scratch::new()?;
        let server = Server::up(scratch.path(), &[])?;
        up.push(loaded(&server, &mut up_cpu)?.rate);
        up_mib.push(server.peak_memory_mib()?);
        behind.push(catch_up(&server)?);
    }
    let sync_bound = 0.8 * CONNECTIONS as f64 / (syncs.median() / 1e3);
    let target = (0.5f64).min(sync_bound / plain.median());
    head("documents/s");
    line("`up --role gateway`", &gateway, &plain, Target::AtLeast(target));
    line("`up`", &up, &plain, Target::AtLeast(0.3));
    println!();
    println!(
        "- fsync between the rounds: {} ms; 0.8 × {CONNECTIONS} documents a fsync are {:.0} documents/s",
        syncs.text(),
        sync_bound
    );
    println!(
        "- processor time a document, in µs: {} baseline, {} gateway, {} `up` (while it applied as far as it got)",
        plain_cpu.text(),
        gateway_cpu.text(),
        up_cpu.text()
    );
    println!("- the load generator took {} of a core against the baseline", generator.text());
    value("apply behind the last answer, worst round", behind.max(), "s", Target::AtMost(1.0));
    value("resident memory of the gateway, worst round", gateway_mib.max(), "MiB", Target::AtMost(80.0));
    value("resident memory of `up`, worst round", up_mib.max(), "MiB", Target::AtMost(80.0));
    Ok(())
}

/// Loads a server, and notes the processor time it took for a document, in µs.
fn loaded(server: &Server, cpu: &mut Rounds) -> Fallible<Load> {
    let load = load::run(&server.address, CONNECTIONS, SECONDS.now())?;
    if load.refused > 0 {
        return Err(format!("{} of {} requests were refused", load.refused, load.refused + load.accepted).into());
    }
    cpu.push(server.cpu_seconds()? * 1e6 / load.accepted as f64);
    Ok(load)
}

/// How long after the load apply reaches the end: the time until one more document is applied, which stands behind all.
fn catch_up(server: &Server) -> Fallible<f64> {
    let begun = Instant::now();
    let document = three_changes(LAST);
    let (status, text) = client::ask(&server.address, "POST", PATH, "Prefer: wait=60\r\n", document.as_bytes())?;
    if status != 200 {
        return Err(format!("the last document was not applied within a minute: {text}").into());
    }
    Ok(begun.elapsed().as_secs_f64())
}
