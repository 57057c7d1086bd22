//! The whole that a run writes: what was measured, on what, and how to read it.

use roomkeeper::clock::Clock;

use crate::args::{Args, command};
use crate::machine::machine;
use crate::processes::Result;
use crate::report::{Size, growth};

const TITLE: &str = "# How fast it is";

const HOW_TO_READ: &str = "\
Each operation is asked of the service over HTTP, signed, on connections that are kept alive; and its SQL is asked of the \
same Postgres by pgbench, prepared, with as many connections and nothing in front. Postgres is as the service runs it: \
what is acknowledged is on the disk. Both take turns, pgbench before, between and after the runs of the service.

- **Service** and **pgbench**: requests and transactions a second, the median of the runs with the least and the most.
- **Ratio**: the one median by the other. It can be above one, as requests in flight can share a statement.
- **Goal**: what is wanted, and whether it is so.
- **p50** and **p99**: how long an answer takes, the median of the runs, while all connections ask all the time.
- **CPU**: microseconds of a core for a request, of the service and of all processes of Postgres.

Lists ask for pages of 30. `create-3` makes a room with three participants, `patch-50` names fifty, most of which are new \
to the room. Each room that there is has three participants. `mixed` is 80 % get, 10 % create-3 and 10 % patch-1. A \
request alone has one connection, and the service to itself. At half of the rate, requests are sent by a schedule, and \
the time is counted from when each was to be sent.";

/// All of it, in Markdown.
pub fn document(args: &Args, ready: f64, sizes: &[Size]) -> Result<String> {
    let date = Clock::system().now().format("%-d %B %Y");
    let built = if cfg!(debug_assertions) { "; built without optimisation, so of no use" } else { "" };
    let begin = format!(
        "{TITLE}\n\n`{}`, {date}, on {}{built}. {} runs of {} s.\n\n{HOW_TO_READ}\n\nFrom start to ready, on a folder \
         that is there: {ready:.2} s.\n",
        command(),
        machine()?,
        args.repeats,
        args.seconds,
    );
    let sections = sizes.iter().map(Size::sections).chain([growth(sizes)]).filter(|section| !section.is_empty());
    Ok([begin].into_iter().chain(sections).collect::<Vec<_>>().join("\n"))
}
