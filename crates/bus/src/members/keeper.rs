//! Keeps a membership: writes its record, reads those of the others, and takes and gives partitions.
//!
//! What comes in: the records, as they change, and the time. What goes out: one's own record, and word of each change.

use std::{pin::pin, time::Duration};

use async_nats::jetstream::{
    consumer,
    message::PublishMessage,
    stream::{DirectGetErrorKind, Stream},
};
use futures::{Stream as Items, StreamExt};
use ithaca_proto::{subject, v1::Member};
use prost::Message;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Change, Desk, FENCE, HEARTBEAT, Membership, Partitions, TTL, Wish};
use crate::{Bus, Error};

/// How NATS marks the end of a key.
const OPERATION: &str = "KV-Operation";
const DELETED: &str = "DEL";

/// How long one write may take: others are to follow before the fence.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long the bus is left alone when it did not answer.
const PAUSE: Duration = Duration::from_millis(200);

impl Bus {
    /// Takes part until the membership is left. `tell` hears of each change while nobody is at work on what it is about.
    ///
    /// # Errors
    /// `Error::Replaced` when another process takes part under the same name.
    pub async fn take_part(&self, membership: &Membership, tell: impl Fn(Change)) -> Result<(), Error> {
        let mut keeper =
            Keeper { bus: self, membership, tell, own: None, seen: 0, said: None, sent: Instant::now() };
        loop {
            match keeper.session().await {
                Ok(Session::Left) => return Ok(()),
                Ok(Session::Lost) => {}
                Err(error @ Error::Replaced { .. }) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "failed to keep the membership, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// How reading the records ended.
enum Session {
    /// They have to be read from the beginning.
    Lost,
    /// This member left.
    Left,
}

/// A record as it passes by.
struct Passing {
    key: String,
    /// None where the key was deleted, or is none of this service's.
    member: Option<Member>,
    sequence: u64,
    published: i128,
}

struct Keeper<'a, T> {
    bus: &'a Bus,
    membership: &'a Membership,
    tell: T,
    /// The place of one's own record in the stream.
    own: Option<u64>,
    /// The place of the last record that passed by.
    seen: u64,
    /// What others were told last.
    said: Option<(Partitions, bool)>,
    /// When.
    sent: Instant,
}

impl<T: Fn(Change)> Keeper<'_, T> {
    /// Reads the records and acts on them, until they have to be read from the beginning.
    async fn session(&mut self) -> Result<Session, Error> {
        let mut incarnation = self.bus.incarnation();
        incarnation.mark_unchanged();
        self.settle();
        self.seen = 0;
        self.renew().await?;
        let mut records = pin!(self.read().await?);
        let mut heard = Vec::new();
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                record = records.next() => match record {
                    Some(record) => self.hear(record, &mut heard),
                    None => return Ok(Session::Lost),
                },
                _ = heartbeat.tick() => {
                    if !self.is_current() && self.sent.elapsed() > PATIENCE {
                        return Ok(Session::Lost);
                    }
                    self.settle();
                    self.renew().await?;
                }
                () = self.membership.0.changed.notified() => {}
                () = wait_until(self.next_end()) => {}
                _ = incarnation.changed() => return Ok(Session::Lost),
            }
            if let Some(session) = self.act().await? {
                return Ok(session);
            }
        }
    }

    /// Does what there is to do: gives up, tells, takes, leaves.
    async fn act(&mut self) -> Result<Option<Session>, Error> {
        let wanted = self.settle();
        if self.own.is_none() || self.said != Some(self.to_say()) {
            self.renew().await?;
        }
        if self.wish() == Wish::Leave && self.desk(|desk| desk.shares.open().is_empty()) {
            self.leave().await?;
            return Ok(Some(Session::Left));
        }
        if self.is_current() && (wanted.is_empty() || self.take(wanted).await?) {
            self.membership.0.joined.send_replace(true);
        }
        Ok(None)
    }

    /// Gives up what is another's to have, and tells of what is over. Returns what is this member's to take.
    fn settle(&mut self) -> Partitions {
        let (now, wish) = (Instant::now(), self.wish());
        let (over, lapsed, silent) = self.desk(|desk| {
            let lapsed = desk.shares.lapse(now);
            let silent = desk.roll.expire(now);
            match wish {
                Wish::Stay => desk.shares.keep(desk.roll.share(&self.membership.0.name)),
                Wish::Drain | Wish::Leave => desk.shares.drain(),
            }
            (desk.shares.over(), lapsed, silent)
        });
        if lapsed {
            tracing::warn!("failed to renew the membership in time: all work stops until that succeeds");
        }
        silent
            .iter()
            .for_each(|name| tracing::warn!(name, "a member was silent too long and counts as dead"));
        if !over.is_empty() {
            (self.tell)(Change::Lost(over));
        }
        self.desk(|desk| {
            desk.shares.close(over);
            let share = match wish {
                Wish::Stay => desk.roll.share(&self.membership.0.name),
                Wish::Drain | Wish::Leave => Partitions::NONE,
            };
            share.without(desk.shares.open()).without(desk.roll.taken())
        })
    }

    /// Adds partitions to one's record, unless any record is another than was read. Returns whether it did.
    async fn take(&mut self, partitions: Partitions) -> Result<bool, Error> {
        let (said, leaving) = self.to_say();
        let to_say = (said.and(partitions), leaving);
        let message = self.message(to_say).expected_last_sequence(self.seen);
        match self.publish(message, to_say).await {
            Ok(sequence) => {
                self.seen = sequence;
                (self.tell)(Change::Gained(partitions));
                self.desk(|desk| desk.shares.take(partitions));
                Ok(true)
            }
            // Somebody was faster; what was said will pass by.
            Err(Error::Outdated { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says again that this member lives and what it works on.
    async fn renew(&mut self) -> Result<(), Error> {
        let own = match self.own {
            Some(own) => own,
            None => self.find().await?,
        };
        let to_say = self.to_say();
        let message = self.message(to_say).expected_last_subject_sequence(own);
        match self.publish(message, to_say).await {
            Ok(_) => Ok(()),
            // An answer was lost, or the record.
            Err(Error::Outdated { .. }) => {
                self.own = None;
                Err(Error::Outdated { subject: self.subject() })
            }
            Err(error) => Err(error),
        }
    }

    /// The place of one's record in the stream. Where it is lost, so is what it said.
    async fn find(&mut self) -> Result<u64, Error> {
        let subject = self.subject();
        let stream = self.stream().await?;
        let (found, sequence) = match stream.direct_get_last_for_subject(subject.as_str()).await {
            Ok(message) if message.headers.get(OPERATION).is_some() => (None, message.sequence),
            Ok(message) => (Member::decode(message.payload).ok(), message.sequence),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => (None, 0),
            Err(error) => return Err(Error::Read { what: subject, source: error.into() }),
        };
        let is_own = found.as_ref().is_some_and(|found| found.life == self.membership.0.life);
        if found.is_some() && !is_own && self.said.is_some() {
            return Err(Error::Replaced { name: self.membership.0.name.clone() });
        }
        if !is_own && self.said.is_some() {
            tracing::warn!("the record of this member is lost: all work stops until it is written anew");
            self.desk(|desk| desk.shares.lose());
            self.settle();
        }
        Ok(sequence)
    }

    /// The record goes: others need not wait.
    async fn leave(&mut self) -> Result<(), Error> {
        let message = PublishMessage::build().header(OPERATION, DELETED);
        let message = message.expected_last_subject_sequence(self.own.unwrap_or_default());
        self.bus.publish(self.subject(), message).await.map(drop)
    }

    async fn publish(&mut self, message: PublishMessage, to_say: (Partitions, bool)) -> Result<u64, Error> {
        let sent = Instant::now();
        let published = tokio::time::timeout(PATIENCE, self.bus.publish(self.subject(), message)).await;
        let sequence = match published {
            Ok(published) => published?,
            Err(source) => {
                self.own = None;
                return Err(Error::Publish { subject: self.subject(), source: source.into() });
            }
        };
        self.desk(|desk| desk.shares.renew(Instant::now(), sent + FENCE));
        (self.own, self.said, self.sent) = (Some(sequence), Some(to_say), sent);
        Ok(sequence)
    }

    /// Takes note of a record that passes by.
    fn hear(&mut self, record: Passing, heard: &mut Vec<(String, i128)>) {
        let Passing { key, member, sequence, published } = record;
        self.seen = self.seen.max(sequence);
        let now = Instant::now();
        if key == self.subject() {
            let is_own = member.is_some_and(|member| member.life == self.membership.0.life);
            if !is_own && self.own.is_some_and(|own| own < sequence) {
                self.own = None;
            }
            let is_joined = *self.membership.0.joined.borrow();
            // What was there before this process came is as old as it is, however lately it was read.
            for (key, before) in heard.drain(..).filter(|_| !is_joined) {
                let age = Duration::from_nanos(u64::try_from(published - before).unwrap_or_default());
                self.desk(|desk| desk.roll.shorten(&key, now + TTL.saturating_sub(age)));
            }
            return;
        }
        match member {
            Some(member) => {
                self.desk(|desk| desk.roll.hear(&key, member, now + TTL));
                heard.push((key, published));
            }
            None => self.desk(|desk| desk.roll.strike(&key)),
        }
    }

    /// Whether one's last record has passed by, and with it all that was said before.
    fn is_current(&self) -> bool {
        self.own.is_some_and(|own| own <= self.seen)
    }

    fn next_end(&self) -> Option<Instant> {
        self.desk(|desk| desk.roll.next_end().into_iter().chain(desk.shares.until()).min())
    }

    fn wish(&self) -> Wish {
        *self.membership.0.wish.borrow()
    }

    fn to_say(&self) -> (Partitions, bool) {
        (self.desk(|desk| desk.shares.said()), self.wish() != Wish::Stay)
    }

    fn message(&self, (partitions, leaving): (Partitions, bool)) -> PublishMessage {
        let own = &self.membership.0;
        let member = Member {
            name: own.name.clone(),
            life: own.life.clone(),
            address: own.address.clone(),
            partitions: partitions.iter().collect(),
            leaving,
        };
        PublishMessage::build().payload(member.encode_to_vec().into())
    }

    fn subject(&self) -> String {
        subject::member(self.membership.0.service, &self.membership.0.name)
    }

    fn desk<R>(&self, look: impl FnOnce(&mut Desk) -> R) -> R {
        look(&mut self.membership.desk())
    }

    async fn stream(&self) -> Result<Stream<()>, Error> {
        let stream = self.bus.jetstream.get_stream_no_info(subject::MEMBERS).await;
        stream.map_err(|source| Error::Read { what: subject::MEMBERS.to_owned(), source: source.into() })
    }

    /// Every record, then each as it changes. Those of other services pass by as well, for their places count.
    async fn read(&self) -> Result<impl Items<Item = Passing> + use<T>, Error> {
        let failed = |source: async_nats::Error| Error::Read { what: subject::MEMBERS.to_owned(), source };
        let config = consumer::pull::OrderedConfig {
            deliver_policy: consumer::DeliverPolicy::LastPerSubject,
            filter_subject: subject::ALL_MEMBERS.to_owned(),
            ..Default::default()
        };
        let stream = self.stream().await?;
        let consumer = stream.create_consumer(config).await.map_err(|error| failed(error.into()))?;
        let messages = consumer.messages().await.map_err(|error| failed(error.into()))?;
        let own = subject::members_of(self.membership.0.service);
        let messages = messages.take_while(|next| futures::future::ready(next.is_ok()));
        Ok(messages.filter_map(move |next| futures::future::ready(passing(next.ok(), &own))))
    }
}

fn passing(message: Option<async_nats::jetstream::Message>, service: &str) -> Option<Passing> {
    let message = message?;
    let (sequence, published) = {
        let info = message.info().ok()?;
        (info.stream_sequence, info.published.unix_timestamp_nanos())
    };
    let is_deleted = message.headers.as_ref().is_some_and(|headers| headers.get(OPERATION).is_some());
    let is_ours = message.subject.starts_with(service);
    let member = Member::decode(message.payload.clone()).ok().filter(|_| is_ours && !is_deleted);
    Some(Passing { key: message.subject.to_string(), member, sequence, published })
}

async fn wait_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
