//! The whole that a run writes: what was measured, on what, and how to read it.

use roomkeeper::clock::Clock;

use crate::args::{Args, command};
use crate::machine::machine;
use crate::processes::Result;
use crate::report::{Size, growth};

/// All of it, in Markdown.
pub fn document(args: &Args, ready: f64, sizes: &[Size]) -> Result<String> {
    let date = Clock::system().now().format("%-d %B %Y");
    let built = if cfg!(debug_assertions) { "; built without optimisation, so of no use" } else { "" };
    let begin = format!(
        "# How fast it is\n\nPrinted by `{}` on {date}, on {}{built}. There were {} runs of {} s of each operation.\n\n\
         {}\nFrom start to ready, on a folder that is there: {ready:.2} s.\n",
        command(),
        machine()?,
        args.repeats,
        args.seconds,
        include_str!("how_to_read.md"),
    );
    let sections = sizes.iter().map(Size::sections).chain([growth(sizes)]).filter(|section| !section.is_empty());
    Ok([begin].into_iter().chain(sections).collect::<Vec<_>>().join("\n"))
}
