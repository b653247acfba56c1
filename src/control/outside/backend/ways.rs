//! How a backend is asked, over HTTP and over gRPC: what goes out, and what the status of an answer
//! says.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use hyper::{Method, Request, StatusCode, Uri};
use tonic::Code;

use super::super::http::{HttpAnswer, Version};
use super::{Backend, BackendError, BackendOptions, Failed, Heard};
use crate::proxy::Carried;
use crate::transport::grpc;

/// The service that backends offer over gRPC.
const SERVICE: &str = "centrifugal.centrifugo.proxy.CentrifugoProxy";

/// How a backend is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Http,
    Grpc,
}

impl Way {
    /// How this backend is asked, and where.
    ///
    /// # Errors
    /// Its URL is none.
    pub(super) fn to(options: &BackendOptions) -> Result<(Self, Uri), BackendError> {
        let (section, said) = (options.section, options.endpoint.as_str());
        let no_endpoint = |_why| BackendError::Proxy { section };
        if said.starts_with("http://") || said.starts_with("https://") {
            return Ok((Self::Http, super::endpoint(section, said).map_err(no_endpoint)?));
        }
        let address = said.strip_prefix("grpc://").unwrap_or(said);
        let scheme = if options.grpc.tls.is_some() { "https" } else { "http" };
        let endpoint = super::endpoint(section, &format!("{scheme}://{address}"));
        let endpoint = endpoint.map_err(no_endpoint)?;
        if endpoint.port().is_none() || endpoint.path() != "/" {
            return Err(BackendError::Proxy { section });
        }
        Ok((Self::Grpc, endpoint))
    }

    pub(super) const fn version(self) -> Version {
        match self {
            Self::Http => Version::One,
            Self::Grpc => Version::Two,
        }
    }
}

impl Backend {
    /// A question over HTTP.
    pub(super) fn request(&self, body: Vec<u8>, carried: &Carried) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        let headers = request.headers_mut();
        for (name, value) in self.options.shown.choose(&self.added, carried) {
            // What is no header cannot be said; a client may have made it up.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                headers.append(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// A question over gRPC: one message.
    pub(super) fn call(
        &self,
        method: &str,
        body: Vec<u8>,
        carried: &Carried,
    ) -> Request<Full<Bytes>> {
        let mut request = self.request(body, carried);
        let mut parts = self.endpoint.clone().into_parts();
        let path = format!("/{SERVICE}/{method}");
        parts.path_and_query = Some(path.parse().expect("letters, dots and slashes"));
        *request.uri_mut() = Uri::from_parts(parts).expect("scheme and authority were there");
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let timeout = format!("{}m", self.options.timeout.as_millis());
        headers.insert("grpc-timeout", timeout.parse().expect("digits"));
        request
    }

    /// What an answer over HTTP says.
    pub(super) fn heard(&self, answer: &HttpAnswer) -> Result<Heard, Failed> {
        let refusal = self.options.refusals.iter().find(|(status, _)| answer.status == *status);
        if let Some((_, denied)) = refusal {
            return Ok(Heard::Denied(denied.clone()));
        }
        match answer.status {
            StatusCode::OK => Ok(Heard::Body(answer.body.clone())),
            status if status.is_server_error() => {
                Err(Failed::Unanswered(format!("status {status}")))
            }
            status => Err(Failed::Status(status)),
        }
    }

    /// What an answer over gRPC says.
    pub(super) fn heard_call(&self, answer: &HttpAnswer) -> Result<Heard, Failed> {
        if answer.status != StatusCode::OK {
            return Err(Failed::Unanswered(format!("status {}", answer.status)));
        }
        // Where there is no message the status stands in the head.
        let status = [&answer.trailers, &answer.headers].map(|headers| headers.get("grpc-status"));
        let status = status.into_iter().flatten().next();
        let Some(status) = status else {
            return Err(Failed::Unanswered("no gRPC status".to_owned()));
        };
        match Code::from_bytes(status.as_bytes()) {
            Code::Ok => match grpc::only_message(&answer.body) {
                Ok(message) => Ok(Heard::Body(answer.body.slice_ref(message))),
                Err(why) => Err(Failed::Unanswered(why.to_string())),
            },
            code @ (Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss) => Err(Failed::Unanswered(format!("gRPC status {code:?}"))),
            // It is there, and does not want to.
            code @ (Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated) => Err(Failed::Code(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::breaker::BreakerOptions;
    use super::super::super::tls::TlsOptions;
    use super::super::WayOptions;
    use super::*;
    use crate::limits::LabelLimits;
    use crate::proxy::{CarriedNames, DataForm};

    #[test]
    fn an_endpoint_says_how_and_where_a_backend_is_asked() {
        let to = |endpoint: &str, tls: Option<TlsOptions>| {
            let options = BackendOptions {
                section: "s",
                endpoint: endpoint.to_owned(),
                timeout: Duration::ZERO,
                shown: CarriedNames::default(),
                form: DataForm::Json,
                refusals: Vec::new(),
                http: WayOptions::default(),
                grpc: WayOptions { tls, ..WayOptions::default() },
                concurrency_max: 1,
                waiting_max: 1,
                answer_bytes_max: 1,
                breaker: BreakerOptions { failures_max: 0, pause: Duration::ZERO },
                labels: LabelLimits::default(),
            };
            Way::to(&options).ok().map(|(way, uri)| (way, uri.to_string()))
        };
        let is = |way, uri: &str| Some((way, uri.to_owned()));
        let tls = Some(TlsOptions::default());
        for (endpoint, tls, expected) in [
            ("http://a/b?c", None, is(Way::Http, "http://a/b?c")),
            ("https://a:1/b", None, is(Way::Http, "https://a:1/b")),
            ("grpc://a:1", None, is(Way::Grpc, "http://a:1/")),
            ("a:1", None, is(Way::Grpc, "http://a:1/")),
            ("[::1]:1", tls.clone(), is(Way::Grpc, "https://[::1]:1/")),
            ("grpc://a", None, None),
            ("grpc://a:1/b", None, None),
            ("ftp://a:1", None, None),
            ("http://me:secret@a/b", None, None),
            ("grpc://me:secret@a:1", tls, None),
            ("", None, None),
        ] {
            assert_eq!(to(endpoint, tls), expected, "{endpoint}");
        }
    }
}
