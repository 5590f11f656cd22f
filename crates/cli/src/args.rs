//! The arguments that all commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use reconcile_live::apply::Bounds;

use crate::commands;
use crate::duration;

/// Brings a PostgreSQL database to the schema that YAML files describe, and proves it.
///
/// `plan` shows what would be done, `apply` does it, `check` tells whether the database is as the
/// model says, `gate` whether the application may start on it now, `status` shows what was applied,
/// and `rollback` undoes the last apply. An online change of a column's type ends with `contract`, or
/// with `abort`.
#[derive(Debug, Parser)]
#[command(name = "reconcile", version, max_term_width = 100, after_help = crate::exit::HELP, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Plan(commands::plan::Plan),
    Apply(commands::apply::Apply),
    Check(commands::check::Check),
    Inspect(commands::inspect::Inspect),
    Gate(commands::gate::Gate),
    Status(commands::status::Status),
    Rollback(commands::rollback::Rollback),
    Contract(commands::online::Contract),
    Abort(commands::online::Abort),
    Schema(commands::schema::Schema),
    Completions(commands::completions::Completions),
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// What is there: a database (a URL or a keyword string), a .sql file, a snapshot, or a model
    ///
    /// `postgresql://user:password@host:5432/database?sslmode=require`, as SQLAlchemy spells it too
    /// (`postgresql+asyncpg://`), or `host=… dbname=…`. What is left out comes from PG* variables
    /// and ~/.pgpass. A .sql file, such as pg_dump writes, is loaded into a throw-away PostgreSQL
    /// server of the other side's major version; a snapshot is what `inspect --format snapshot`
    /// wrote; YAML files or a folder of them are built in a throw-away server. What changes a
    /// database (`apply`, `rollback`) takes nothing but a database.
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "DATABASE"
    )]
    pub(crate) live: Option<String>,

    /// The role to act as (SET ROLE), so that new objects belong to it
    #[arg(long, global = true, value_name = "ROLE")]
    pub(crate) role: Option<String>,

    /// The namespace of the journal
    #[arg(long, global = true, value_name = "NAMESPACE", default_value = "reconcile")]
    pub(crate) journal_schema: String,

    /// The folder of PostgreSQL's programs (initdb, postgres, pg_dump); RECONCILE_PG_BIN counts too
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) pg_bin: Option<PathBuf>,

    /// Whether to use colours; NO_COLOR counts in auto
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    pub(crate) color: ColorWhen,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Even into a file.
    Always,
    /// Not at all.
    Never,
}

/// Whether a plan is tried out first.
#[derive(Clone, Debug, Args)]
pub(crate) struct Rehearsal {
    /// Whether to try the plan on a copy of the catalog first, in a throw-away server
    #[arg(
        long,
        env = "RECONCILE_REHEARSE",
        value_enum,
        value_name = "WHEN",
        default_value_t = RehearseWhen::Auto,
        default_missing_value = "always",
        num_args = 0..=1,
        require_equals = true
    )]
    pub(crate) rehearse: RehearseWhen,
}

/// When to try a plan on a copy of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RehearseWhen {
    /// Before `apply`, if a server of that major version can be started here.
    Auto,
    /// `plan` does it too.
    Always,
    /// Not at all.
    Never,
}

/// The model's files.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelPaths {
    /// What shall be there: files and folders of a model, or a database, a .sql file, a snapshot
    ///
    /// What is no model is taken as the model that `inspect` would write of it.
    #[arg(value_name = "MODEL", default_value = "schema/")]
    pub(crate) model: Vec<PathBuf>,

    /// Take the model as complete for the namespaces that it names: what it does not state goes
    ///
    /// Each section of each table is complete then, too. What loses nothing but itself (an index, a
    /// constraint, a view) needs no approval; what loses data (a table, a column) needs
    /// --allow-drop with its address, or `all`. To `check` what goes is extra. A desired side that
    /// is a database, a .sql file or a snapshot is complete for the whole database.
    #[arg(long)]
    pub(crate) prune: bool,
}

/// How a change that rewrites a table is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrategyArg {
    /// At once if it is short, online if it is not
    Auto,
    /// At once, under one lock
    Direct,
    /// On a second column beside readers and writers
    Online,
}

/// What helps an application over an online change.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Bridge {
    /// Let statements that still name the old enum type of a column work until `contract`
    ///
    /// After an online change of an enum to a text, statements that were built for the enum fail:
    /// `operator does not exist: character varying = mood`. With this, an implicit cast from the
    /// type to text is made just before the columns change names, and goes with `contract` or
    /// `rollback`. It holds for the whole database meanwhile.
    #[arg(long)]
    pub(crate) bridge: bool,
}

/// What is approved, and how long anybody may be kept waiting.
#[derive(Clone, Debug, Args)]
pub(crate) struct Approvals {
    /// The longest that a step may keep anybody waiting, as estimated from sizes [default: 5s, and
    /// 200ms for a rewrite that can be done online]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) max_stall: Option<Duration>,

    /// How a change of type that rewrites its table is carried out
    #[arg(long, value_enum, value_name = "HOW", default_value_t = StrategyArg::Auto)]
    pub(crate) strategy: StrategyArg,

    /// Approves a longer stall for an object: an address such as table:public.messages, a glob, or `all`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) allow_stall: Vec<String>,

    /// Approves a drop that loses data: an address such as column:public.messages.name, a glob, or `all`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) allow_drop: Vec<String>,

    /// Approves that a trigger fires for rows which an online change carries over: an address such as
    /// trigger:public.messages.audit, a glob, or `all`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) allow_trigger: Vec<String>,
    /// Approves an online change of a published table, whose subscribers have the second column already:
    /// an address such as table:public.messages, a glob, or `all`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) allow_published: Vec<String>,

    /// How long to wait for a lock before backing off
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = duration::parse)]
    pub(crate) lock_timeout: Duration,
}

/// How much an online change takes for itself, and whom it waits for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pacing {
    /// Whether an online change leaves half of the time to others
    ///
    /// Off is at full speed. It still waits for standbys and replication slots, and for a VACUUM that
    /// prevents wraparound: what these lose cannot be made good again.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Throttle::On)]
    throttle: Throttle,

    /// How old the state of a standby or subscriber may be before an online change waits for it
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    max_lag: Duration,

    /// How much of the write-ahead log a replication slot may keep before an online change waits
    #[arg(long, value_name = "SIZE", default_value = "4GB", value_parser = crate::size::parse)]
    max_retained: u64,
}

/// Whether work in pieces pauses between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Throttle {
    /// As long as each of them took
    On,
    /// Never
    Off,
}

impl Pacing {
    /// Whether half of the time is left to others.
    pub(crate) fn throttles(&self) -> bool {
        self.throttle == Throttle::On
    }

    /// How far behind others may be.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { lag: self.max_lag, retained: self.max_retained }
    }
}
