--[[ Included before the scripts about artifacts of a job.

  Field of a job:
    artifacts  first line: the generation of its artifacts; then one line per artifact:
               "<round> <attempt> <name> <bytes> <object> <JSON>" (object '-': a link)

  The field expires with the job, and a job that later has the same id begins without it. Older versions ignore it.
  An artifact belongs to its attempt: the next attempt does not show it, and its first one removes the line.
  Its number `n`, in the JSON, says how many artifacts the attempt had stored with it, replaced ones included: it rises
  by 1 from 1. So the newest artifact has the largest number, and that number names the list.
]]
local function artifacts_of(text)
  local generation, found = string.match(text, '^(%x+)'), {}
  for line in string.gmatch(text, '\n([^\n]+)') do
    local round, attempt, name, bytes, object = string.match(line, '^(%d+) (%d+) (%S+) (%d+) (%S+) ')
    local n = tonumber(string.match(line, ',"n":(%d+)}$') or 0)
    found[#found + 1] = { round = round, attempt = attempt, name = name, bytes = tonumber(bytes), object = object, n = n, line = line }
  end
  return generation, found
end

-- The fields of a job whose attempt this writer computes, or nil and why it does not.
local function fenced(hash, round, token, fenced_from)
  local f = redis.call('HMGET', hash, 'round', 'status', 'token', 'n', 'attempt', 'owner', 'artifacts')
  if not f[2] then return nil, 'unknown_job' end
  if f[1] ~= round then return nil, 'stale_round' end
  local last = tonumber(f[3] or 0)
  if tonumber(token) < last then return nil, 'stale_writer' end
  if tonumber(token) == last and tonumber(f[4] or 0) >= tonumber(fenced_from) then return nil, 'stale_write' end
  if f[2] ~= 'running' and f[2] ~= 'cancelling' then return nil, 'not_running' end
  return { round = f[1], attempt = f[5], owner = f[6], artifacts = f[7] }
end
