-- Sends the requests of a file, one after the other, from the beginning again at its end. Each stands behind its length
-- in eight digits. Prints one line: answers, microseconds, refused, broken, median and 99th percentile in microseconds.

local requests

function init(arguments)
   requests = assert(io.open(arguments[1], "rb"))
   requests:setvbuf("full", 1048576)
end

function request()
   local length = requests:read(8)
   if not length then
      requests:seek("set", 0)
      length = requests:read(8)
   end
   return requests:read(tonumber(length))
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format("load %d %d %d %d %d %d", summary.requests, summary.duration, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
