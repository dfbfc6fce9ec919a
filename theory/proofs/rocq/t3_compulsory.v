(* T3: every pattern must be attended to once, by whatever learner.

   A table gives each of the patterns in K one of the values in V. The learner is any function of all that it has seen:
   earlier queries, its own decisions, and the values shown to it, on attending or (with labels) after every query.
   First everything that is independent of the table is held fixed, and tables are counted; then it is averaged. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Cogfit Require Import finite.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.

Section Learner.
Variables (K V : finType) (labels : bool).

Definition event := (K * bool * option V)%type.
Definition history := seq event.
Definition table := {ffun K -> V}.
Variables (attend : history -> K -> bool) (guess : history -> K -> V).

(* What the learner sees of a query for k after the history h, and of a sequence z of queries. *)
Definition step (v : table) (h : history) (k : K) : event :=
  (k, attend h k, if attend h k || labels then Some (v k) else None).
Fixpoint play (v : table) (h : history) (z : seq K) : history :=
  if z is k :: z' then play v (rcons h (step v h k)) z' else h.

Definition revealed (h : history) (k : K) := has (fun e : event => (e.1.1 == k) && (e.2 != None)) h.
Definition unrevealed v z k := ~~ revealed (play v [::] z) k.

(* Attention and errors, at one query and in all. *)
Definition err (v : table) h k := ~~ attend h k && (guess h k != v k).
Fixpoint Att (v : table) h z := if z is k :: z' then attend h k + Att v (rcons h (step v h k)) z' else 0.
Fixpoint Err (v : table) h z := if z is k :: z' then err v h k + Err v (rcons h (step v h k)) z' else 0.
Fixpoint Err_at j (v : table) h z :=
  if z is k :: z' then (k == j) * err v h k + Err_at j v (rcons h (step v h k)) z' else 0.

(* The cost V A + V E of a step, times (V - 1)/V: attention costs V - 1, an error V. *)
Definition cost (v : table) h k := #|V|.-1 * attend h k + #|V| * err v h k.

Lemma play_cat v h y z : play v h (y ++ z) = play v (play v h y) z.
Proof. by elim: y h => //= k y IH h; rewrite IH. Qed.
Lemma Att_cat v h y z : Att v h (y ++ z) = Att v h y + Att v (play v h y) z.
Proof. by elim: y h => //= k y IH h; rewrite IH addnA. Qed.
Lemma Err_cat v h y z : Err v h (y ++ z) = Err v h y + Err v (play v h y) z.
Proof. by elim: y h => //= k y IH h; rewrite IH addnA. Qed.
Lemma Err_at_cat j v h y z : Err_at j v h (y ++ z) = Err_at j v h y + Err_at j v (play v h y) z.
Proof. by elim: y h => //= k y IH h; rewrite IH addnA. Qed.

Lemma Err_by_pattern v h z : Err v h z = \sum_j Err_at j v h z.
Proof.
elim: z h => [|k z IH] h /=; first by rewrite big1.
rewrite IH big_split /=; congr (_ + _).
by rewrite (bigD1 k) //= eqxx mul1n big1 ?addn0 // => j /negbTE; rewrite eq_sym => ->.
Qed.

(* What was shown stays shown, and a pattern not asked for was not shown. *)
Lemma revealed_play v h z k : revealed h k -> revealed (play v h z) k.
Proof.
elim: z h => //= j z IH h shown; apply: IH.
by rewrite /revealed has_rcons; move: shown; rewrite /revealed => ->; rewrite orbT.
Qed.

Lemma not_asked v z k : k \notin z -> unrevealed v z k.
Proof.
suff G h : ~~ revealed h k -> k \notin z -> ~~ revealed (play v h z) k by exact: G.
elim: z h => //= j z IH h shown; rewrite inE negb_or => /andP[kj kz]; apply: IH => //.
by rewrite /revealed has_rcons negb_or shown /= eq_sym (negbTE kj).
Qed.

(* The history does not depend on a value that it does not show. *)
Definition replace (v : table) (k : K) (y : V) : table := [ffun j => if j == k then y else v j].

Lemma blind v h z k y : ~~ revealed (play v h z) k -> play (replace v k y) h z = play v h z.
Proof.
elim: z h => //= j z IH h hidden.
have same : step (replace v k y) h j = step v h j.
  rewrite /step ffunE; case: (j =P k) => // jk; move: hidden; rewrite jk.
  case: ifP => // s; case/negP; apply: revealed_play.
  by rewrite /revealed has_rcons /step s /= eqxx.
by rewrite same IH.
Qed.

Lemma replaceK v k y : replace (replace v k y) k (v k) = v.
Proof. by apply/ffunP=> j; rewrite !ffunE; case: (j =P k) => // ->. Qed.

Lemma unrevealed_replace v z k y : unrevealed (replace v k y) z k = unrevealed v z k.
Proof.
rewrite /unrevealed; case r: (revealed (play v [::] z) k); last by rewrite blind r.
apply/negbTE; rewrite negbK; apply/negPn/negP => h.
by move: (blind (v k) h); rewrite replaceK => e; move: h; rewrite -e r.
Qed.

(*| T3
   English: "Given the history before step t (queries, noise, coins, decisions, shown values) and x_t, the unrevealed values are independent and uniform"
   Python: "For *every* adaptive learner (any history, coins and memory), with or without labels"
   Scope: the lemma behind (a), (b) and (c): equally many tables for each value of one unrevealed pattern. *)
Theorem uniform_given_history z h k x y : ~~ revealed h k ->
  #|[set v | play v [::] z == h & v k == x]| = #|[set v | play v [::] z == h & v k == y]|.
Proof.
move=> hidden; suff le a b :
    #|[set v | play v [::] z == h & v k == a]| <= #|[set v | play v [::] z == h & v k == b]|.
  by apply/eqP; rewrite eqn_leq !le.
rewrite -(card_in_imset (f := fun v => replace v k b)).
  apply: subset_leq_card; apply/subsetP=> w /imsetP[v]; rewrite !inE => /andP[/eqP r _] ->.
  by rewrite blind ?r // eqxx /= ffunE eqxx.
move=> v w; rewrite !inE => /andP[_ /eqP va] /andP[_ /eqP wa] /ffunP e; apply/ffunP=> j.
by move: (e j); rewrite !ffunE; case: (j =P k) => // ->; rewrite va wa.
Qed.

(* Summing over all tables is summing over all values of k, and over tables. *)
Lemma sum_replace (c : table -> nat) k : #|V| * (\sum_v c v) = \sum_(v : table) \sum_(y : V) c (replace v k y).
Proof.
rewrite exchange_big /= big_distrr /=.
transitivity (\sum_(y : V) \sum_(v : table | v k == y) #|V| * c v).
  by rewrite [LHS](partition_big (fun v : table => v k) predT).
apply: eq_bigr => y _.
rewrite [RHS](partition_big (fun v => replace v k y) (fun w : table => w k == y)) /=; last first.
  by move=> v _; rewrite ffunE eqxx.
apply: eq_bigr => w /eqP wk.
under [RHS]eq_bigr => v /eqP -> do [].
rewrite sum_nat_const; congr (_ * _).
rewrite -(card_imset (f := fun x : V => replace w k x)); last first.
  by move=> a b /ffunP/(_ k); rewrite !ffunE eqxx.
apply: eq_card => v; rewrite unfold_in /=; apply/imsetP/eqP => [[x _ ->]|<-].
  by apply/ffunP=> j; rewrite !ffunE; case: eqP => // ->.
by exists (v k) => //; rewrite replaceK.
Qed.

Lemma wrong_values (g : V) : \sum_(y : V) (g != y) = #|V|.-1.
Proof.
rewrite -(cardC1 g) -sum1_card [RHS]big_mkcond; apply: eq_bigr => y _.
by rewrite inE eq_sym; case: (_ == _).
Qed.

(* While k is unrevealed, a query for it costs V - 1 on average over the tables: attention, or a blind guess. *)
Hypothesis V2 : 1 < #|V|.

Lemma cost_unrevealed z k :
  \sum_(v : table) unrevealed v z k * cost v (play v [::] z) k = #|V|.-1 * #|[set v | unrevealed v z k]|.
Proof.
have V0 : 0 < #|V| by exact: ltnW.
apply/eqP; rewrite -(eqn_pmul2l V0); apply/eqP; rewrite (sum_replace _ k).
rewrite -sum1_card !big_distrr /= [RHS]big_mkcond /=; apply: eq_bigr => v _; rewrite inE.
case f: (unrevealed v z k); last by rewrite big1 // => y _; rewrite unrevealed_replace f.
rewrite muln1 (eq_bigr (fun y => #|V|.-1 * attend (play v [::] z) k
   + #|V| * (~~ attend (play v [::] z) k && (guess (play v [::] z) k != y)))); last first.
  by move=> y _; rewrite unrevealed_replace f mul1n /cost /err blind // ffunE eqxx.
case a: (attend _ k).
  by under eq_bigr do rewrite /= muln0 addn0 muln1; rewrite sum_nat_const.
under eq_bigr do rewrite /= muln0 add0n.
by rewrite -big_distrr /= wrong_values.
Qed.

(* (b) for one sequence of queries: each distinct pattern costs V - 1 at its first query. *)
Lemma cost_of_distinct z :
  #|V|.-1 * #|{: table}| * #|z| <= \sum_(v : table) (#|V|.-1 * Att v [::] z + #|V| * Err v [::] z).
Proof.
elim/last_ind: z => [|z k IH]; first by rewrite (@eq_card0 _ (mem [::])) ?muln0.
have E v : #|V|.-1 * Att v [::] (rcons z k) + #|V| * Err v [::] (rcons z k)
  = (#|V|.-1 * Att v [::] z + #|V| * Err v [::] z) + cost v (play v [::] z) k.
  by rewrite -cats1 Att_cat Err_cat /= !addn0 /cost !mulnDr addnACA.
under eq_bigr do rewrite E.
rewrite big_split /=.
have -> : #|rcons z k| = (k \notin z) + #|z|.
  by rewrite -cardU1; apply: eq_card => j; rewrite !inE mem_rcons inE.
rewrite mulnDr addnC leq_add //.
case kz: (k \in z) => /=; rewrite ?muln0 // muln1.
have all v : unrevealed v z k by rewrite not_asked ?kz.
rewrite -[X in X <= _](_ : #|V|.-1 * #|[set v | unrevealed v z k]| = _); last first.
  by congr (_ * _); rewrite -cardsT; congr #|pred_of_set _|; apply/setP => v; rewrite !inE all.
by rewrite -cost_unrevealed; apply: leq_sum => v _; rewrite all mul1n.
Qed.

(* (c), without labels: a pattern that is never attended to costs (V - 1)/V errors per query. *)
Hypothesis no_labels : labels = false.

Lemma unrevealed_rcons v z k : unrevealed v (rcons z k) k = unrevealed v z k && ~~ attend (play v [::] z) k.
Proof.
rewrite /unrevealed -cats1 play_cat /= /revealed has_rcons /step /= eqxx no_labels orbF negb_or andbC.
by case: (attend _ _).
Qed.

Lemma unrevealed_mono v z j k : unrevealed v (rcons z j) k -> unrevealed v z k.
Proof. by rewrite /unrevealed -cats1 play_cat; apply: contra; exact: (@revealed_play v _ [:: j]). Qed.

Lemma errors_unattended z k :
  #|V|.-1 * (count_mem k z * #|[set v | unrevealed v z k]|) <= #|V| * \sum_(v : table) Err_at k v [::] z.
Proof.
elim/last_ind: z => [|z j IH]; first by rewrite muln0.
under eq_bigr do rewrite -cats1 Err_at_cat /= addn0; rewrite big_split /= [X in _ <= X]mulnDr.
have sub : #|[set v | unrevealed v (rcons z j) k]| <= #|[set v | unrevealed v z k]|.
  by apply/subset_leq_card/subsetP => v; rewrite !inE; exact: unrevealed_mono.
rewrite -cats1 count_cat /= addn0 cats1 mulnDl mulnDr; apply: leq_add.
  by apply: leq_trans IH; rewrite leq_mul2l leq_mul2l sub !orbT.
case jk: (j == k) => /=; last by rewrite mul0n muln0.
rewrite (eqP jk) mul1n.
have e : (\sum_(v : table) unrevealed v z k * (#|V|.-1 * attend (play v [::] z) k))
  + (\sum_(v : table) unrevealed v z k * (#|V| * err v (play v [::] z) k)) = #|V|.-1 * #|[set v | unrevealed v z k]|.
  by rewrite -cost_unrevealed -big_split /=; apply: eq_bigr => v _; rewrite -mulnDr.
have p : #|[set v | unrevealed v z k]|
  = (\sum_v unrevealed v z k * attend (play v [::] z) k) + #|[set v | unrevealed v (rcons z k) k]|.
  rewrite -!sum1_card !(big_mkcond (fun v => v \in _)) -big_split /=; apply: eq_bigr => v _.
  by rewrite !inE unrevealed_rcons; case: (unrevealed _ _ _); case: (attend _ _).
move: e; rewrite p mulnDr.
have -> : \sum_(v : table) unrevealed v z k * (#|V|.-1 * attend (play v [::] z) k)
        = #|V|.-1 * \sum_v unrevealed v z k * attend (play v [::] z) k.
  by rewrite big_distrr /=; apply: eq_bigr => v _; rewrite mulnCA.
move/addnI => <-; rewrite big_distrr /=; apply: leq_sum => v _.
by rewrite mulnCA leq_mul2l mul1n; case: (unrevealed _ _ _); rewrite ?mul0n ?mul1n ?leqnn ?orbT.
Qed.

(* Each attention reveals one pattern at most. *)
Lemma revealed_by_attention v z : #|[set k | ~~ unrevealed v z k]| <= Att v [::] z.
Proof.
elim/last_ind: z => [|z j IH].
  by rewrite (_ : [set _ | _] = set0) ?cards0 //; apply/setP => k; rewrite !inE.
rewrite -cats1 Att_cat /= addn0 addnC; apply: leq_trans (leq_add (leqnn _) IH).
have [a|a] := boolP (attend (play v [::] z) j).
  apply: (@leq_trans #|j |: [set k | ~~ unrevealed v z k]|); last by rewrite cardsU1 leq_add2r leq_b1.
  apply/subset_leq_card/subsetP => k; rewrite !inE /unrevealed play_cat /= /revealed has_rcons !negbK /=.
  by case/orP=> [/andP[/eqP -> _]|->]; rewrite ?eqxx ?orbT.
rewrite add0n; apply/subset_leq_card/subsetP => k; rewrite !inE /unrevealed play_cat /= /revealed has_rcons !negbK.
by rewrite /step (negbTE a) no_labels /= andbF.
Qed.
End Learner.

(* The learner that attends at first sight, and answers with what it was shown. *)
Section FirstSight.
Variables (K V : finType) (labels : bool) (unseen : V).

Definition at_first_sight (h : history K V) k := ~~ revealed h k.
Definition shown (h : history K V) k :=
  if [seq e.2 | e <- h & (e.1.1 == k) && (e.2 != None)] is Some y :: _ then y else unseen.
Local Notation play := (play labels at_first_sight).

(* Only right values are shown. *)
Definition truthful (v : table K V) (h : history K V) := all (fun e => if e.2 is Some y then y == v e.1.1 else true) h.

Lemma play_truthful v h z : truthful v h -> truthful v (play v h z).
Proof.
elim: z h => //= k z IH h true_h; apply: IH; rewrite /truthful all_rcons /=.
by case: (_ || _) => //=; rewrite eqxx.
Qed.

Lemma shown_right v h k : truthful v h -> revealed h k -> shown h k = v k.
Proof.
rewrite /shown; elim: h => //= -[[j a] o] h IH /andP[here rest] /=.
case: (j =P k) here => [->|_] here /=; last by exact: IH.
by case: o here => [y /eqP ->|_] //=; exact: IH.
Qed.

Lemma revealed_iff_asked v h z k : revealed (play v h z) k = revealed h k || (k \in z).
Proof.
elim: z h => [|j z IH] h /=; first by rewrite orbF.
rewrite IH inE orbA; congr (_ || _); rewrite {1}/revealed has_rcons -/(revealed h k) orbC /= [k == j]eq_sym.
case: (j =P k) => [->|_] //=.
by rewrite /at_first_sight; case: (revealed h k).
Qed.

(*| T3
   English: "Attending at the first query of each pattern and remembering has Err = 0 and Att = D: equality in (a) and (b)"
   Python: "Attending at first sight has Att = D, Err = 0: equality in (a) and (b)"
   Scope: every table and every sequence of queries, with or without labels. *)
Theorem first_sight v z :
  Att labels at_first_sight v [::] z = #|z| /\ Err labels at_first_sight shown v [::] z = 0.
Proof.
split; last first.
  suff G h : truthful v h -> Err labels at_first_sight shown v h z = 0 by exact: G.
  elim: z h => //= k z IH h true_h; rewrite IH ?addn0; last by exact: (@play_truthful v h [:: k]).
  by rewrite /err /at_first_sight negbK; case r: (revealed h k) => //=; rewrite (shown_right true_h r) eqxx.
elim/last_ind: z => [|z k IH]; first by rewrite (@eq_card0 _ (mem [::])).
rewrite -cats1 Att_cat IH /= addn0 {1}/at_first_sight revealed_iff_asked /=.
rewrite cats1 addnC; have -> : #|rcons z k| = (k \notin z) + #|z|; last by [].
by rewrite -cardU1; apply: eq_card => j; rewrite !inE mem_rcons inE.
Qed.
End FirstSight.

Local Open Scope ring_scope.

(* The greedy filling of a budget with the smallest counts, the last of them in part. *)
Section Knapsack.
Variable R : realFieldType.

Fixpoint fill (counts : seq nat) (budget : R) : R :=
  if counts is m :: ms then (if m%:R <= budget then 1 + fill ms (budget - m%:R) else budget / m%:R) else 0.

(* A price per query at which the greedy filling is dear enough: the dual solution. *)
Lemma fill_price m0 ms budget : (0 < m0)%N -> path leq m0 ms -> 0 <= budget ->
  exists price, [/\ 0 <= price, price * m0%:R <= 1 &
    price * budget + \sum_(m <- ms) Num.max 0 (1 - price * m%:R) <= fill ms budget].
Proof.
elim: ms m0 budget => [|m ms IH] m0 budget m0_gt0 /= => [_|/andP[m0m sorted]] b0.
  by exists 0; rewrite !mul0r big_nil addr0 ler01.
have m_gt0 : (0 < m)%N by apply: leq_trans m0m.
have mR : 0 < m%:R :> R by rewrite ltr0n.
have [fits|too_much] := lerP m%:R budget.
  have [|price [p0 p1 dear]] := IH m (budget - m%:R) m_gt0 sorted; first by rewrite subr_ge0.
  exists price; split=> //; first by apply: le_trans p1; rewrite ler_wpmul2l // ler_nat.
  move: dear; rewrite big_cons max_r ?subr_ge0 // -(ler_add2l 1); apply: le_trans.
  by rewrite mulrBr -!addrA [X in _ <= X]addrCA lexx.
exists m%:R^-1; split; first by rewrite invr_ge0 ltW.
  by rewrite mulrC ler_pdivr_mulr // mul1r ler_nat.
rewrite mulrC big_cons mulVf ?gt_eqF // subrr maxxx add0r big1_seq ?addr0 // => k /andP[_ k_in].
apply/max_idPl; rewrite subr_le0 mulrC ler_pdivl_mulr // mul1r ler_nat.
by move/(order_path_min leq_trans)/allP: sorted; apply.
Qed.

Lemma fill_is_most (K : eqType) (m : K -> nat) (x : K -> R) (s : seq K) budget :
  sorted leq [seq m k | k <- s] -> (forall k, k \in s -> (0 < m k)%N) -> (forall k, 0 <= x k <= 1) ->
  \sum_(k <- s) (m k)%:R * x k <= budget -> \sum_(k <- s) x k <= fill [seq m k | k <- s] budget.
Proof.
move=> ordered m_gt0 x01 within.
have b0 : 0 <= budget.
  by apply: le_trans within; apply: sumr_ge0 => k _; case/andP: (x01 k) => x0 _; rewrite mulr_ge0 ?ler0n.
have from1 : path leq 1%N [seq m k | k <- s].
  case: s ordered m_gt0 {within} => //= k s -> m_gt0; by rewrite andbT m_gt0 ?mem_head.
have [price [p0 _ dear]] := fill_price (ltn0Sn 0) from1 b0; apply: le_trans dear.
rewrite big_map; apply: (@le_trans _ _ (price * (\sum_(k <- s) (m k)%:R * x k)
    + \sum_(k <- s) Num.max 0 (1 - price * (m k)%:R))); last by rewrite ler_add2r ler_wpmul2l.
rewrite mulr_sumr -big_split /=; apply: ler_sum => k _; case/andP: (x01 k) => x0 x1.
rewrite mulrA -ler_subl_addl -{1}[x k]mul1r -mulrBl le_maxr.
have [neg|pos] := lerP (1 - price * (m k)%:R) 0; first by rewrite mulr_le0_ge0.
by rewrite orbC ler_pimulr // ltW.
Qed.
End Knapsack.

(* All that is independent of the table, queries and coins included, is drawn from a law P on Omega. The learner may even
   know all of it in advance. *)
Section Average.
Variables (R : realFieldType) (Omega K V : finType) (P : Omega -> R) (labels : bool).
Variables (attend : Omega -> history K V -> K -> bool) (guess : Omega -> history K V -> K -> V).
Hypothesis V2 : (1 < #|V|)%N.
Hypothesis law : is_law P.
Local Notation table := (table K V).

(* The mean over tables and over the law. *)
Definition mean (X : Omega -> table -> nat) : R := expect P (fun o => (\sum_v X o v)%N%:R / #|{: table}|%:R).

Definition price : R := #|V|%:R / (#|V|%:R - 1).

Lemma tables_gt0 : 0 < #|{: table}|%:R :> R.
Proof. by rewrite ltr0n card_ffun expn_gt0 (ltnW V2). Qed.

Lemma V_pred : #|V|.-1%:R = #|V|%:R - 1 :> R.
Proof. by rewrite -subn1 natrB ?(ltnW V2). Qed.

Lemma V_pred_gt0 : 0 < #|V|%:R - 1 :> R.
Proof. by rewrite subr_gt0 (ltr_nat R 1). Qed.

Lemma price_ge0 : 0 <= price.
Proof. by rewrite divr_ge0 ?ler0n // ltW ?V_pred_gt0. Qed.

Lemma priceK x : (#|V|%:R - 1) * (price * x) = #|V|%:R * x.
Proof. by rewrite /price mulrA mulrCA divff ?mulr1 // gt_eqF ?V_pred_gt0. Qed.

Lemma meanD X Y : mean (fun o v => X o v + Y o v)%N = mean X + mean Y.
Proof. by rewrite -expectD; apply: eq_expect => o; rewrite big_split natrD mulrDl. Qed.

(* An inequality between sums over tables, at every point of the law, is one between means. *)
Lemma mean_cost (X A E : Omega -> table -> nat) :
  (forall o, (#|V|.-1 * (\sum_v X o v) <= \sum_v (#|V|.-1 * A o v + #|V| * E o v))%N) ->
  mean X <= mean A + price * mean E.
Proof.
move=> point; rewrite -expectZ -expectD; apply: ler_expect => // o.
rewrite mulrA -mulrDl ler_pmul2r ?invr_gt0 ?tables_gt0 // -(ler_pmul2l V_pred_gt0) mulrDr.
rewrite priceK -V_pred -!natrM -natrD ler_nat.
by apply: leq_trans (point o) _; rewrite big_split /= !big_distrr.
Qed.

(* (b): queries z o, of any law. *)
Section Distinct.
Variable z : Omega -> seq K.
Definition Att_all o v := Att labels (attend o) v [::] (z o).
Definition Err_all o v := Err labels (attend o) (guess o) v [::] (z o).
Definition distinct : R := expect P (fun o => #|z o|%:R).

(*| T3
   English: "(b) E[Att] + V/(V−1)·E[Err] ≥ E[D_n]"
   Python: "(b) E[Att] + V/(V−1)·E[Err] ≥ E[D_n]"
   Scope: queries, coins and noise of any finite law independent of the values. *)
Theorem total_cost : distinct <= mean Att_all + price * mean Err_all.
Proof.
apply: le_trans (mean_cost (X := fun o _ => #|z o|) _) => [|o].
  rewrite le_eqVlt; apply/orP; left; apply/eqP; apply: eq_expect => o.
  by rewrite sum_nat_const natrM mulrAC divff ?mul1r ?gt_eqF ?tables_gt0.
by apply: leq_trans (cost_of_distinct labels (attend o) (guess o) V2 (z o)); rewrite sum_nat_const mulnA.
Qed.
End Distinct.

(* (a): one step, after the queries z o; k o is the query now, if there is one. *)
Section Step.
Variables (z : Omega -> seq K) (k : Omega -> option K).

Definition now (X : Omega -> table -> K -> bool) o v : nat := if k o is Some j then X o v j else false.
Definition is_hidden o v j := unrevealed labels (attend o) v (z o) j.
Definition past o v := play labels (attend o) v [::] (z o).
Definition attends_now := mean (now (fun o v j => attend o (past o v) j)).
Definition errs_hidden := mean (now (fun o v j => is_hidden o v j && err (attend o) (guess o) v (past o v) j)).
Definition hidden_now := mean (now is_hidden).

(*| T3
   English: "(a) P(A_t=1) + V/(V−1)·P(err_t, z_t unrevealed) ≥ P(z_t unrevealed)"
   Python: "(a) at every step t, P(A_t = 1) + V/(V−1)·P(err_t, z_t unrevealed) ≥ P(z_t unrevealed)"
   Scope: as (b); the earlier queries may be of any law. *)
Theorem cost_of_step : hidden_now <= attends_now + price * errs_hidden.
Proof.
apply: mean_cost => o; rewrite /now; case: (k o) => [j|]; last by rewrite !big1 ?muln0.
have -> : (\sum_v is_hidden o v j = #|[set v | is_hidden o v j]|)%N.
  by rewrite -sum1_card [RHS]big_mkcond; apply: eq_bigr => v _; rewrite inE; case: (is_hidden _ _ _).
rewrite -(cost_unrevealed labels (attend o) (guess o) V2); apply: leq_sum => v _; rewrite /is_hidden /past /cost.
by case: (unrevealed _ _ _ _ _); rewrite ?mul0n // mul1n.
Qed.

(* A pattern that was not asked for before is unrevealed. *)
Lemma hidden_if_new : prob P (fun o => if k o is Some j then j \notin z o else false) <= hidden_now.
Proof.
rewrite prob_indicator; apply: ler_expect => // o; rewrite /now; case: (k o) => [j|]; last by rewrite big1 ?mul0r.
have [|new] := boolP (j \in z o); first by rewrite divr_ge0 ?ler0n.
rewrite (eq_bigr (fun=> 1%N)) => [|v _]; last by rewrite /is_hidden not_asked.
by rewrite sum1_card divff ?gt_eqF ?tables_gt0.
Qed.
End Step.

(* (c): a fixed sequence of queries, no labels. *)
Section NoLabels.
Variable z : seq K.
Hypothesis no_labels : labels = false.
Let zs (_ : Omega) := z.

(* Patterns asked for, rarest first, and how many of them fit into a budget of queries. *)
Definition rarest := sort (relpre (fun k => count_mem k z) leq) (undup z).
Definition spared (budget : R) := fill [seq count_mem k z | k <- rarest] budget.

Definition never k := mean (fun o v => unrevealed labels (attend o) v z k).

Lemma never_range k : 0 <= never k <= 1.
Proof.
rewrite /never; apply/andP; split.
  by rewrite -(expect_const law 0); apply: ler_expect => // o; rewrite divr_ge0 ?ler0n.
rewrite -(expect_const law 1); apply: ler_expect => // o.
by rewrite ler_pdivr_mulr ?tables_gt0 // mul1r ler_nat -sum1_card leq_sum // => v _; case: (unrevealed _ _ _ _ _).
Qed.

Lemma never_errs : \sum_k (count_mem k z)%:R * never k <= price * mean (Err_all zs).
Proof.
have by_pattern : mean (Err_all zs) = \sum_k mean (fun o v => Err_at labels (attend o) (guess o) k v [::] z).
  rewrite -expect_sum; apply: eq_expect => o; rewrite -mulr_suml -natr_sum exchange_big.
  by congr (_%:R / _); apply: eq_bigr => v _; rewrite /Err_all Err_by_pattern.
rewrite by_pattern mulr_sumr; apply: ler_sum => k _; rewrite -!expectZ; apply: ler_expect => // o.
rewrite mulrA [price * _]mulrA ler_pmul2r ?invr_gt0 ?tables_gt0 // -(ler_pmul2l V_pred_gt0) priceK.
rewrite -V_pred -!natrM ler_nat.
apply: leq_trans (errors_unattended (attend o) (guess o) V2 no_labels z k).
rewrite leq_mul2l leq_mul2l -sum1_card [X in (_ <= X)%N]big_mkcond; apply/orP; right; apply/orP; right.
by apply: leq_sum => v _; rewrite inE; case: (unrevealed _ _ _ _ _).
Qed.

Lemma attention_reveals : #|z|%:R <= mean (Att_all zs) + \sum_(k <- rarest) never k.
Proof.
have -> : \sum_(k <- rarest) never k = mean (fun o v => \sum_(k <- rarest) unrevealed labels (attend o) v z k)%N.
  rewrite /mean /never /expect exchange_big; apply: eq_bigr => o _; rewrite -mulr_sumr -mulr_suml -natr_sum.
  by rewrite exchange_big.
rewrite -meanD -(expect_const law #|z|%:R); apply: ler_expect => // o.
rewrite ler_pdivl_mulr ?tables_gt0 // -natrM ler_nat mulnC -sum_nat_const; apply: leq_sum => v _.
rewrite (perm_big (undup z)) ?perm_sort //= big_uniq ?undup_uniq //=.
rewrite (eq_bigl (mem z)); last by move=> k; rewrite mem_undup.
rewrite -sum1_card (bigID (fun k => unrevealed labels (attend o) v z k)) /= addnC leq_add //.
  apply: leq_trans (revealed_by_attention (attend o) no_labels v z).
  by rewrite sum1dep_card; apply/subset_leq_card/subsetP => k; rewrite !inE => /andP[].
by rewrite big_mkcondr; apply: leq_sum => k _; case: (unrevealed _ _ _ _ _).
Qed.

(*| T3
   English: "(c) without feedback, for a fixed sequence with counts m_k and E[Err] ≤ δN: E[Att] ≥ D − κ"
   Python: "(c) without labels, for a fixed sequence with counts m_k, N = Σ m_k, and E[Err] ≤ δN: E[Att] ≥ D − κ"
   Scope: coins of any finite law; κ is the greedy filling of the budget, rarest first. *)
Theorem spared_patterns (delta : R) : mean (Err_all zs) <= delta * (size z)%:R ->
  #|z|%:R - spared (price * (delta * (size z)%:R)) <= mean (Att_all zs).
Proof.
move=> few; rewrite ler_subl_addr; apply: le_trans attention_reveals _; rewrite ler_add2l.
apply: fill_is_most => [||k|].
- by rewrite sorted_map sort_sorted // => a b; exact: leq_total.
- by move=> k; rewrite mem_sort mem_undup -has_pred1 has_count.
- exact: never_range.
apply: (@le_trans _ _ (price * mean (Err_all zs))); last by rewrite ler_wpmul2l ?price_ge0.
apply: le_trans never_errs; rewrite (perm_big (undup z)) ?perm_sort //= big_uniq ?undup_uniq //=.
rewrite [X in _ <= X](bigID (mem (undup z))) /= ler_addl; apply: sumr_ge0 => k _.
by case/andP: (never_range k) => n0 _; rewrite mulr_ge0 ?ler0n.
Qed.
End NoLabels.
End Average.

(* Independent queries: at each step k is asked for with probability f p_k, and nothing with probability 1 - f. *)
Section Queries.
Variables (R : realFieldType) (Coins K V : finType) (coins : Coins -> R) (labels : bool).
Variables (f : R) (p : K -> R) (n : nat).
Hypothesis V2 : (1 < #|V|)%N.
Hypothesis coins_law : is_law coins.
Hypothesis p_law : is_law p.
Hypothesis f01 : 0 <= f <= 1.

Definition query (k : option K) : R := if k is Some j then f * p j else 1 - f.

Lemma query_law : is_law query.
Proof.
case: p_law f01 => p0 p1 /andP[f0 f1]; split=> [[k|]|]; rewrite /query ?mulr_ge0 ?subr_ge0 //.
rewrite (bigD1 None) //= (reindex_omap Some id) /=; last by case.
rewrite (eq_bigl predT) => [|k]; last by rewrite eqxx.
by rewrite -mulr_sumr p1 mulr1 subrK.
Qed.

Definition asked (y : {ffun 'I_n -> option K}) : seq K := pmap id (codom y).

Lemma mem_asked y k : (k \in asked y) = ~~ [forall i, y i != Some k].
Proof.
rewrite -has_pred1 /asked; apply/idP/forallPn => [|[i]].
  by rewrite has_pred1 mem_pmap map_id => /codomP[i ->]; exists i; rewrite negbK.
by rewrite negbK has_pred1 mem_pmap map_id => /eqP <-; exact: codom_f.
Qed.

Definition stream := both coins (iid (n := n) query).

Lemma stream_law : is_law stream.
Proof. exact: both_law coins_law (iid_law _ query_law). Qed.

(* The expected number of distinct patterns in n steps. *)
Lemma expected_distinct : distinct stream (fun o => asked o.2) = \sum_k (1 - (1 - f * p k) ^+ n).
Proof.
rewrite /distinct expect_both -[RHS](expect_const coins_law); apply: eq_expect => c /=.
transitivity (\sum_k expect (iid (n := n) query) (fun y => 1 - [forall i, y i != Some k]%:R)).
  rewrite -expect_sum; apply: eq_expect => y; rewrite -sum1_card natr_sum big_mkcond; apply: eq_bigr => k _.
  by rewrite mem_asked; case: [forall _, _]; rewrite ?subrr ?subr0.
apply: eq_bigr => k _; rewrite -(iid_misses n query_law (Some k)) prob_indicator.
exact/expect_complement/iid_law/query_law.
Qed.

Variables (attend : Coins * {ffun 'I_n -> option K} -> history K V -> K -> bool).
Variables (guess : Coins * {ffun 'I_n -> option K} -> history K V -> K -> V).
Let z (o : Coins * {ffun 'I_n -> option K}) := asked o.2.

(*| T3
   English: "E[D_n] = Σ_k (1 − (1 − f p_k)^n)"
   Python: "E[D_n] = Σ_k (1 − (1 − f p_k)^n), the expected number of patterns asked for"
   Scope: independent queries, coins of any finite law. *)
Corollary total_cost_iid : \sum_k (1 - (1 - f * p k) ^+ n)
  <= mean stream (Att_all labels attend z) + price R V * mean stream (Err_all labels attend guess z).
Proof. by rewrite -expected_distinct; apply: total_cost => //; exact: stream_law. Qed.

End Queries.

Section MissingMass.
Variables (R : realFieldType) (Coins K V : finType) (coins : Coins -> R) (labels : bool).
Variables (f : R) (p : K -> R) (t : nat).
Hypothesis V2 : (1 < #|V|)%N.
Hypothesis coins_law : is_law coins.
Hypothesis p_law : is_law p.
Hypothesis f01 : 0 <= f <= 1.
Local Notation steps := (Coins * {ffun 'I_t -> option K} * option K)%type.
Variables (attend : steps -> history K V -> K -> bool) (guess : steps -> history K V -> K -> V).

(* t steps and one more. *)
Definition next_step := both (stream coins f p (n := t)) (query f p).
Let z (o : steps) := asked o.1.2.
Let k (o : steps) := o.2.

Lemma prob_new : prob next_step (fun o => if k o is Some j then j \notin z o else false)
  = f * (\sum_j p j * (1 - f * p j) ^+ t).
Proof.
rewrite prob_indicator expect_both /stream expect_both -[RHS](expect_const coins_law); apply: eq_expect => c.
transitivity (expect (iid (n := t) (query f p)) (fun y => \sum_j query f p (Some j) * [forall i, y i != Some j]%:R)).
  apply: eq_expect => y; rewrite /expect (bigD1 None) //= mulr0 add0r (reindex_omap Some id) /=; last by case.
  rewrite (eq_bigl predT) => [|j]; last by rewrite eqxx.
  by apply: eq_bigr => j _; rewrite /z /k /= mem_asked negbK.
rewrite expect_sum mulr_sumr; apply: eq_bigr => j _; rewrite expectZ -prob_indicator iid_misses ?mulrA //.
exact: query_law.
Qed.

(*| T3
   English: "≥ P(z_t unrevealed) ≥ f·u_f(t−1)"
   Python: "≥ P(z_t unrevealed) ≥ f·u_f(t−1), with u_f(t) = Σ p_k(1 − f p_k)^t the missing mass"
   Scope: independent queries; the step t + 1. *)
Corollary missing_mass : f * (\sum_j p j * (1 - f * p j) ^+ t)
  <= attends_now next_step labels attend z k + price R V * errs_hidden next_step labels attend guess z k.
Proof.
have law : is_law next_step by apply: both_law (stream_law _ _ _ _) (query_law _ _).
rewrite -prob_new; apply: le_trans (hidden_if_new labels attend V2 law z k) _.
exact: cost_of_step.
Qed.
End MissingMass.
