//! The configuration's keys and what they mean. A key that is not here, or
//! whose value has another type, is an error that names it.

use crate::json::Reader;

/// An object whose values are texts, in the order written.
pub(crate) type Pairs = Vec<(String, String)>;

#[derive(Default)]
pub(crate) struct Config {
    /// The header that carries the report, if there is to be one.
    pub(crate) report: Option<String>,
    pub(crate) reads: Reads,
    pub(crate) edits: Edits,
    /// The answer of a probe that stops requests.
    pub(crate) stop: Option<Stop>,
    pub(crate) response: ResponseConfig,
}

/// What is asked of the gateway.
#[derive(Default)]
pub(crate) struct Reads {
    /// `None` when the key is absent: then the report has none either.
    pub(crate) vars: Option<Vec<String>>,
    pub(crate) body: bool,
}

/// What is done to a request, in this order.
#[derive(Default)]
pub(crate) struct Edits {
    pub(crate) set_path: Option<String>,
    pub(crate) set_headers: Pairs,
    pub(crate) add_headers: Pairs,
    pub(crate) remove_headers: Vec<String>,
    pub(crate) set_args: Pairs,
    pub(crate) add_args: Pairs,
    pub(crate) remove_args: Vec<String>,
    pub(crate) set_body: Option<String>,
    /// The body that came is sent on as one of our own.
    pub(crate) echo_body: bool,
    pub(crate) set_response_headers: Pairs,
}

#[derive(Default)]
pub(crate) struct Stop {
    /// 200 when it is absent.
    pub(crate) status: Option<u16>,
    pub(crate) headers: Pairs,
    pub(crate) body: String,
}

/// What is done in the response phase; edits in this order.
#[derive(Default)]
pub(crate) struct ResponseConfig {
    pub(crate) reads: Reads,
    pub(crate) set_status: Option<u16>,
    pub(crate) set_headers: Pairs,
    pub(crate) add_headers: Pairs,
    pub(crate) remove_headers: Vec<String>,
    pub(crate) set_body: Option<String>,
}

pub(crate) fn parse(text: &str) -> Result<Config, String> {
    let mut reader = Reader::new(text);
    let mut config = Config::default();
    reader.object(|reader, key| request_key(&mut config, reader, key))?;
    reader.end()?;
    Ok(config)
}

fn request_key(config: &mut Config, reader: &mut Reader<'_>, key: &str) -> Result<(), String> {
    let edits = &mut config.edits;
    match key {
        "report" => config.report = Some(reader.string()?),
        "vars" => config.reads.vars = Some(reader.strings()?),
        "body" => config.reads.body = reader.boolean()?,
        "set_path" => edits.set_path = Some(reader.string()?),
        "set_headers" => edits.set_headers = reader.pairs()?,
        "add_headers" => edits.add_headers = reader.pairs()?,
        "remove_headers" => edits.remove_headers = reader.strings()?,
        "set_args" => edits.set_args = reader.pairs()?,
        "add_args" => edits.add_args = reader.pairs()?,
        "remove_args" => edits.remove_args = reader.strings()?,
        "set_body" => edits.set_body = Some(reader.string()?),
        "echo_body" => edits.echo_body = reader.boolean()?,
        "set_response_headers" => edits.set_response_headers = reader.pairs()?,
        "status" => stop(config).status = Some(reader.number()?),
        "response_headers" => stop(config).headers = reader.pairs()?,
        "response_body" => stop(config).body = reader.string()?,
        "response" => {
            let response = &mut config.response;
            reader.object(|reader, key| response_key(response, reader, key))?;
        }
        _ => return Err(String::from("unknown key")),
    }
    Ok(())
}

fn response_key(
    response: &mut ResponseConfig,
    reader: &mut Reader<'_>,
    key: &str,
) -> Result<(), String> {
    match key {
        "vars" => response.reads.vars = Some(reader.strings()?),
        "body" => response.reads.body = reader.boolean()?,
        "set_status" => response.set_status = Some(reader.number()?),
        "set_headers" => response.set_headers = reader.pairs()?,
        "add_headers" => response.add_headers = reader.pairs()?,
        "remove_headers" => response.remove_headers = reader.strings()?,
        "set_body" => response.set_body = Some(reader.string()?),
        _ => return Err(String::from("unknown key")),
    }
    Ok(())
}

/// Any one of its keys makes the probe stop.
fn stop(config: &mut Config) -> &mut Stop {
    config.stop.get_or_insert_default()
}
