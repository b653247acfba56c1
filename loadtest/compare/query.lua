-- wrk: asks for the sessions of a user with three sessions, any of them (8,333 among a million
-- sessions, COMPARE_SESSIONS says how many there are), and tells percentiles.
local sessions = tonumber(os.getenv("COMPARE_SESSIONS") or "1000000")
local first, users = math.floor(sessions / 40) + 1, math.floor(sessions / 120)
local requests = {}

-- Made once: what is measured is the server.
function init()
    local headers = { ["Authorization"] = "apikey key", ["Content-Type"] = "application/json" }
    for at = 1, users do
        local user = string.format("s%09d", first + at - 1)
        local body = '{"method":"user_connections","params":{"user":"' .. user .. '"}}'
        requests[at] = wrk.format("POST", "/api", headers, body)
    end
end

function request()
    return requests[math.random(users)]
end

function done(summary, latency)
    local errors = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.status + summary.errors.timeout
    io.write(string.format("RESULT %d %.0f %.3f %.3f %.3f %d\n", summary.requests,
        summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000,
        latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, errors))
end
