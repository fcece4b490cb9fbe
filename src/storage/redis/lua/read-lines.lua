--[[ Reads log lines of a job.

  KEYS  1 hash  2 log lines (one slot)
  ARGV  1 'after' or 'before'  2 a line number: the lines after it, or the newest lines before it ('' = the newest)
        3 maximum number of lines  4 maximum bytes; at least one line is returned
  Returns false if there is no such job, or {owner, generation, round, status, number of the oldest line, of the newest
  line, of the first returned line, lines}. Without lines the numbers are those of lines to come: {…, n + 1, n, n + 1}

  Atomic, because lines, owner and status must be of the same moment: an id may pass to another owner.
]]
local f = redis.call('HMGET', KEYS[1], 'owner', 'generation', 'round', 'status', 'lines')
if not f[1] then return false end
local generation, round, last = string.match(f[5] or '', '^(%S+) (%d+) (%d+) %d+$')
if tonumber(round) ~= tonumber(f[3]) then generation, last = f[2], '0' end
last = tonumber(last)
local head = { f[1], generation, f[3], f[4] }
local oldest = last > 0 and redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
oldest = oldest and tonumber(string.match(oldest[1], '^%d+')) or last + 1
local function answer(first, lines) return { head[1], head[2], head[3], head[4], oldest, last, first, lines } end
if oldest > last then return answer(last + 1, {}) end

local is_after = ARGV[1] == 'after'
local found
if is_after then found = redis.call('XRANGE', KEYS[2], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])
else found = redis.call('XREVRANGE', KEYS[2], ARGV[2] == '' and '+' or '(' .. ARGV[2] .. '-0', '-', 'COUNT', ARGV[3]) end
local lines, bytes = {}, 0
for _, entry in ipairs(found) do
  bytes = bytes + #entry[2][2]
  if #lines > 0 and bytes > tonumber(ARGV[4]) then break end
  table.insert(lines, entry[2][2])
end
if #lines == 0 then return answer(is_after and last + 1 or oldest, lines) end
if is_after then return answer(tonumber(string.match(found[1][1], '^%d+')), lines) end
local reversed = {}
for i = #lines, 1, -1 do table.insert(reversed, lines[i]) end
return answer(tonumber(string.match(found[#lines][1], '^%d+')), reversed)
