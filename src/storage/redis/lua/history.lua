--[[ Included before the scripts that write or read entries: which history of a job a store has.

  Fields of a job:
    generation  identity of the history that was last written
    store       "<identity> <seq>": the last store that wrote, and up to which seq
    forks       "<epoch> <seq>,...": previous epochs, oldest first; up to this seq each is a prefix of this history

  A store with another identity was restarted, restored or promoted. It may lack the last writes: it has a prefix of the
  history, and what it writes is a different history. Its first write therefore sets a new generation. Until then its
  epoch is "<generation>-<identity>", which is valid as far as its generation is.
  Older versions do not write `store`. It is unknown on which store their entries were written, so these are valid on
  the store that has them: while it has any, its epoch is "<generation>~<identity>", which no other store accepts.
]]
local MAX_FORKS = 16

-- The epoch of a job, as clients see it. job: table with generation, seq (number), store, forks.
local function epoch_of(job, store)
  local last, upto = string.match(job.store or '', '^(%S+) (%d+)$')
  if last == store then return job.generation end
  local has_older = last and tonumber(upto) ~= tonumber(job.seq)
  return job.generation .. (has_older and '~' or '-') .. store
end

-- Up to which seq an epoch is a prefix of this history; -1 if it is not.
local function good_until(job, store, epoch)
  if epoch == epoch_of(job, store) then return job.seq end
  local base, good = string.match(epoch, '^([^-]*)'), -1
  if base == job.generation then good = tonumber(string.match(job.store or '', ' (%d+)$')) or -1 end
  for past, upto in string.gmatch(job.forks or '', '([^, ]+) (%d+)') do
    if past == epoch or past == base then good = tonumber(upto) end
  end
  return good
end

-- Called before a store writes entries: sets a new generation if its history differs from that of the last store.
local function take_over(hash, job, store)
  local last, upto = string.match(job.store or '', '^(%S+) (%d+)$')
  if last == store then return end
  local forks = {}
  for fork in string.gmatch(job.forks or '', '[^,]+') do table.insert(forks, fork) end
  if last then table.insert(forks, job.generation .. ' ' .. upto) end
  if tonumber(upto) ~= job.seq then table.insert(forks, epoch_of(job, store) .. ' ' .. job.seq) end
  local kept = table.concat(forks, ',', math.max(1, #forks - MAX_FORKS + 1))
  job.generation = string.sub(redis.sha1hex(job.generation .. store), 1, 12)
  redis.call('HSET', hash, 'generation', job.generation, 'forks', kept)
end
