//! What is there.

use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::facts::sizes;
use reconcile_live::introspect::{ReadOptions, Snapshot, introspect};
use reconcile_live::rehearse;
use reconcile_live::snapshot::SavedSnapshot;
use reconcile_model::Model;
use reconcile_sql::{QName, ServerVersion};
use reconcile_throwaway::Server;

use super::script::{self, Throwaway};
use super::{Side, read_snapshot};
use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::rehearsal::{self, Stage};
use crate::trouble::Trouble;

/// An open database, for a command that changes it or its journal.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The connection.
    pub(crate) session: Session,
    /// What it is called, without a password.
    pub(crate) label: String,
}

/// The live side, open. A throw-away server, if there is one, lives as long as this.
#[derive(Debug)]
pub(crate) struct Live {
    /// What it is called, without a password.
    pub(crate) label: String,
    kind: Kind,
    server: Option<Server>,
}

#[derive(Debug)]
enum Kind {
    /// It can be read and asked.
    There(Box<Session>),
    /// It was read before. A copy of it, if there is one, can be asked; and whether that has all
    /// that the snapshot has.
    Saved { saved: Box<SavedSnapshot>, copy: Option<(Box<Stage>, bool)> },
}

impl Opened {
    /// Connects.
    pub(crate) async fn new(
        target: reconcile_live::target::Target,
        global: &Global,
        pooled: bool,
    ) -> Result<Self, Failure> {
        let options =
            ConnectOptions { role: global.role.clone(), pooled, ..ConnectOptions::default() };
        let session = connect(&target, &options).await.map_err(Trouble::from)?;
        Ok(Self { session, label: target.display() })
    }
}

impl Side {
    /// Opens a live side; `hint` is the major version of the other side.
    pub(crate) async fn open(
        self,
        global: &Global,
        hint: Option<u32>,
        output: &Output,
    ) -> Result<Live, Failure> {
        let name = self.name();
        let role = global.role.as_deref();
        let there = |throwaway: Throwaway| Live {
            label: format!("{name} in a throw-away server"),
            kind: Kind::There(Box::new(throwaway.session)),
            server: Some(throwaway.server),
        };
        match self {
            Self::Database(target) => {
                let Opened { session, label } = Opened::new(*target, global, true).await?;
                Ok(Live { label, kind: Kind::There(Box::new(session)), server: None })
            }
            Self::Script(path) => Ok(there(script::load(&path, hint, role, global, output).await?)),
            Self::Model(paths) => {
                let model = Model::load(&paths).map_err(Failure::model)?;
                let mut throwaway = script::empty(&name, hint, global, output).await?;
                let unmade = make(&mut throwaway.session, &model).await?;
                match unmade.is_empty() {
                    true => Ok(there(throwaway)),
                    false => {
                        let message = format!(
                            "{name} cannot be built in a throw-away server, so it cannot be a live side:\n{}",
                            lines(&unmade)
                        );
                        Err(Trouble::new("live_model", message).into())
                    }
                }
            }
            Self::Snapshot(path) => {
                let saved = Box::new(read_snapshot(&path)?);
                let label = format!("{name}, a snapshot of {}", saved.database);
                let copy = rehearsal::copy(&saved.snapshot, global).await;
                match &copy {
                    Ok((_, missing)) if missing.is_empty() => {}
                    Ok((_, missing)) => output.note(&format!(
                        "not all of {name} could be made in the throw-away server that is asked about \
                         expressions:\n{}",
                        lines(missing)
                    )),
                    Err(reason) => output.note(&format!(
                        "no server can be asked about the expressions of {name}, so those that are \
                         spelt differently stay unproven: {reason}"
                    )),
                }
                let copy = copy.ok().map(|(stage, missing)| (Box::new(stage), missing.is_empty()));
                Ok(Live { label, kind: Kind::Saved { saved, copy }, server: None })
            }
        }
    }
}

/// Makes what a model states in an empty database; gives what could not be made.
async fn make(session: &mut Session, model: &Model) -> Result<Vec<String>, Failure> {
    let there = introspect(session, &ReadOptions::default()).await.map_err(Trouble::from)?;
    let desired = model.catalog(&there.facts.types).map_err(Failure::model)?;
    Ok(rehearse::build(session, desired).await.map_err(Trouble::from)?.missing)
}

/// So many of what could not be made are named.
const SHOWN: usize = 10;

fn lines(missing: &[String]) -> String {
    let mut lines: Vec<String> =
        missing.iter().take(SHOWN).map(|missing| format!("  {missing}")).collect();
    if let Some(more) = missing.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    lines.join("\n")
}

impl Live {
    /// The version of its server.
    pub(crate) fn version(&self) -> Option<ServerVersion> {
        Some(match &self.kind {
            Kind::There(session) => ServerVersion(session.version),
            Kind::Saved { saved, .. } => saved.snapshot.version,
        })
    }

    /// The session on the live side itself.
    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.kind {
            Kind::There(session) => Some(session),
            Kind::Saved { .. } => None,
        }
    }

    /// The session on a database that applications use: no throw-away server.
    pub(crate) fn database(&mut self) -> Option<&mut Session> {
        match &self.server {
            Some(_) => None,
            None => self.session(),
        }
    }

    /// The session on which its statements can be tried: its own, or that of a server with all
    /// that a snapshot has.
    pub(crate) fn stand_in(&mut self) -> Option<&mut Session> {
        match &mut self.kind {
            Kind::There(session) => Some(session),
            Kind::Saved { copy: Some((stage, true)), .. } => Some(&mut stage.session),
            Kind::Saved { .. } => None,
        }
    }

    /// Reads it, and says whom to ask about it.
    pub(crate) async fn read(
        &mut self,
        options: &ReadOptions,
    ) -> Result<(Snapshot, reconcile_live::derive::Live<'_>), Failure> {
        use reconcile_live::derive::Live as Asked;
        Ok(match &mut self.kind {
            Kind::There(session) => {
                let snapshot = introspect(session, options).await.map_err(Trouble::from)?;
                (snapshot, Asked::There(session))
            }
            Kind::Saved { saved, copy } => {
                let asked = copy.as_mut().map(|(stage, _)| &mut stage.session);
                (saved.snapshot.clone(), Asked::Saved(asked))
            }
        })
    }

    /// What `inspect --format snapshot` writes: the catalog, and the sizes of all relations.
    pub(crate) async fn save(&mut self, options: &ReadOptions) -> Result<SavedSnapshot, Failure> {
        let session = match &mut self.kind {
            Kind::There(session) => session,
            Kind::Saved { saved, .. } => return Ok((**saved).clone()),
        };
        let mut snapshot = introspect(session, options).await.map_err(Trouble::from)?;
        let relations =
            snapshot.catalog.objects().filter_map(|object| match object.address.path() {
                [namespace, name] => Some(QName::new(namespace, name)),
                _ => None,
            });
        let relations = relations.collect();
        snapshot.facts.sizes = sizes(session, &relations).await.map_err(Trouble::from)?;
        Ok(SavedSnapshot { database: session.database.clone(), snapshot })
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        match self.kind {
            Kind::There(session) => session.close().await,
            Kind::Saved { copy: Some((stage, _)), .. } => stage.session.close().await,
            Kind::Saved { copy: None, .. } => {}
        }
    }
}
